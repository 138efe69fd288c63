"""Which files of a folder belong together: Pascal VOC in any layout, COCO JSON, YOLO txt; and which splits they make.

A picture's name is its path in the folder without suffix and without words such as JPEGImages or images, so that
`train/images/a.jpg` and `train/labels/a.txt` are both `train/a`, and `cam1/0001` and `cam2/0001` are two pictures.
"""

import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from posixpath import basename, commonprefix, dirname, splitext

from course_lib.data.formats import CocoFile, class_table, read_yolo
from course_lib.data.voc_files import DataError, Entry, Note, file_key, picture_suffixes, read_annotation, read_text

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
               "test": "test", "testing": "test", "trainval": "trainval"}  # fmt: skip
FOLDER_WORDS = set("jpegimages images image imgs img pictures photos annotations annotation annots anns xmls xml labels "
                   "label txt yolo bboxes".split())  # fmt: skip
PAPERS = {"", *".xml .txt .json .csv .yaml .yml .md .names .html .py .ipynb".split()}  # no pictures
CLASS_LISTS = ("data.yaml", "data.yml", "classes.txt", "obj.names", "_darknet.labels", "labels.txt")
# A folder of the classic layout: its home, then the pictures' or the annotations' folder in it.
CLASSIC = re.compile(r"((?:.*?/)?)(jpegimages/|annotations/(?=.*\.xml$))", re.IGNORECASE)
SEED, SHARE = 0, 0.2  # of a split that is made here: where it starts, and the share of val


@dataclass
class Labels:
    """What one kind of annotation says about a folder.

    entries: {name: entry}. orphans: {name: annotation file} without a picture of their own. home: the folder whose
    lists count, with a stroke behind it. lists: {split: names, or the path of a list that is read when asked for}.
    """

    form: str
    folder: "Folder"
    entries: dict[str, Entry] = field(default_factory=dict)
    orphans: dict[str, str] = field(default_factory=dict)
    home: str = ""
    lists: dict[str, list[str] | str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def absent(self, root: Path, name: str) -> Entry:
        """What a list names and the folder lacks: reading it says which file is missing."""
        below = common_folder(entry.where for entry in self.entries.values())
        where = self.orphans.get(name) or (f"{below}{name}.xml" if self.form == "voc" else name)
        return Entry((), where, partial(read_annotation, self.folder.files.get(where) or root / where, where))


@cache
def split_word(path: str, whole: bool = True) -> str | None:
    """The split that a folder on a path names (`valid`, `train2017`, `test_images`), or any word in it if not `whole`."""
    for part in reversed(path.split("/")):
        words = [word for word in re.split(r"[^a-z]+", part.lower()) if word and word not in FOLDER_WORDS]
        named = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
        if named and (len(words) == 1 or not whole):
            return named[0]
    return None


def suffix(path: str) -> str:
    """A path's suffix in lower case, with its dot."""
    return splitext(path)[1].lower()


def bare(path: str) -> str:
    """A path without a picture's or an annotation's suffix."""
    stem, end = splitext(path)
    return stem if end.lower() in (".xml", ".txt") or end.lower() in picture_suffixes() else path


@cache
def _plain_part(part: str) -> str:
    words = re.split(r"[ _.-]", part)
    left = [word for word in words if word.lower() not in FOLDER_WORDS]
    return part if len(left) == len(words) else "_".join(left)


def plain(path: str) -> str:
    """A path without words that only say what lies in a folder: images/train → train, test_labels → test."""
    *folders, file = path.split("/")
    return "/".join([*filter(None, map(_plain_part, folders)), file])


def common_folder(paths: Iterable[str]) -> str:
    """The folder that holds all paths, with a stroke behind it, no deeper than the first that names a split."""
    parts = commonprefix([path.split("/")[:-1] for path in paths])
    return "".join(part + "/" for part in takewhile(lambda part: not split_word(part), parts))


def walk(root: Path) -> dict[str, str]:
    """{path relative to the folder: path} of all files, links followed; hidden folders and what is no file left out."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be opened ({error.strerror}); change its permissions.") from error

    found, seen = {}, set()
    for folder, below, names in os.walk(root, onerror=refuse, followlinks=True):
        fresh, place = os.path.realpath(folder) not in seen, Path(folder).relative_to(root)
        seen.add(os.path.realpath(folder))
        below[:] = sorted(name for name in below if fresh and not name.startswith((".", "__")))
        paths = {name: os.path.join(folder, name) for name in sorted(names) if fresh}
        found |= {file_key((place / name).as_posix()): path for name, path in paths.items() if os.path.isfile(path)}
    return dict(sorted(found.items()))


class Folder:
    """The files of a folder, and its pictures by name.

    Attributes:
        files: {relative path: path}.
        pictures: {name: relative paths}; more than one where only the suffix differs.
    """

    def __init__(self, files: dict[str, str], within: str = "") -> None:
        """Take the pictures from the files below the folder `within`."""
        self.files, self.doubts = files, []
        self.visible = [path for path in files if not basename(path).startswith(".")]
        shown = [path for path in self.visible if path.startswith(within)]
        known = [path for path in shown if suffix(path) in picture_suffixes()]
        self.prefix = common_folder(known) or within
        places, self.pictures = defaultdict(set), defaultdict(list)
        for path in known:
            places[self.name(path)].add(dirname(path))
        for path in known:  # of one plain name in two folders: the whole path tells them apart
            name = self.name(path)
            self.pictures[name if len(places[name]) == 1 else bare(path)].append(path)
        strange = [path for path in shown if suffix(path) not in picture_suffixes() and suffix(path) not in PAPERS]
        self.others = {plain(splitext(path.removeprefix(self.prefix))[0]): path for path in strange}
        self.index(self.pictures)

    def name(self, path: str) -> str:
        """What the picture at this path is called."""
        return plain(bare(path.removeprefix(self.prefix)))

    def index(self, names: Iterable[str]) -> None:
        """Make these names known to `find`."""
        self._known = defaultdict(set)  # by their spelling in lower case, and by their last part behind "*/"
        for name in names:
            self._known[name.lower()].add(name)
            self._known["*/" + basename(name).lower()].add(name)

    def find(self, text: str) -> list[str]:
        """The names that a line of a list, or an annotation, may mean: its own, with fewer folders, or the last part."""
        parts = [part for part in file_key(text).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for spelling in (tail, bare(tail), plain(tail), plain(bare(tail))):
                names = self._known.get(spelling.lower(), set())
                if spelling in names or len(names) == 1:
                    return [spelling] if spelling in names else list(names)
        return sorted(self._known.get("*/" + bare(parts[-1]).lower(), ())) if parts else []

    def pick(self, text: str, near: str = "", split: str | None = None) -> tuple[str, tuple[str, ...]] | None:
        """The name and the picture files that an annotation means; None where no picture fits.

        Args:
            text: the picture's path as the annotation writes it.
            near: folder of the annotation, and split: what it is for; they decide where a last part occurs twice.
        """
        near = near.removeprefix(self.prefix)
        found = self.find(near + text if plain(bare(near + text)) in self.pictures else text)
        pictures = [path for name in found for path in self.pictures.get(name, ())]
        if len(found) > 1:
            pictures = [path for path in pictures if split and split_word(dirname(path)) == split] or pictures
        file = basename(file_key(text).replace("\\", "/"))
        exact = [path for path in pictures if basename(path) == file]
        if len(pictures) > 1 and len(exact) == 1:  # of a.jpg and a.png, the whole file name becomes the name
            return exact[0].removeprefix(self.prefix), tuple(exact)
        if pictures:
            name = found[0] if len(found) == 1 else self.name(pictures[0] if len(pictures) == 1 else text)
            return name, tuple(pictures)
        for key in map(plain, (text, splitext(text)[0], splitext(near + text)[0])):
            if key in self.others:  # a.HEIC, which is named when it is read
                return key, (self.others[key],)
        return None


def choose(root: Path, what: str, choices: Iterable[str]) -> DataError:
    """The error that asks which of several things is meant."""
    return DataError(f"{root}: {what} ({', '.join(sorted(choices))}); choose one of them (COURSE_DATA, or --data).")


def classic_home(root: Path, files: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The folder that holds JPEGImages and Annotations, and these two by their names in lower case; else "" and {}."""
    homes = defaultdict(dict)
    for path in files:
        if found := CLASSIC.match(path):
            homes[found[1]][found[2].lower()] = found[0]
    whole = [home for home, parts in homes.items() if len(parts) == 2 and not split_word(home)]
    if len(whole) > 1 and "" not in whole:
        raise choose(root, "several Pascal VOC sets", [home.rstrip("/") for home in whole])
    return min(((home, homes[home]) for home in whole), default=("", {}))


def pair(folder: Folder, papers: list[str]) -> tuple[dict[str, tuple[str, tuple[str, ...]]], dict[str, str]]:
    """{name: (annotation file, pictures)}, and {name: annotation file} of those without a picture of their own."""
    prefix = common_folder(path for path in papers if not basename(path).startswith("."))
    rows = defaultdict(list)
    for path in papers:
        text = path.removeprefix(prefix)
        while text.lower().endswith((".xml", ".txt")):
            text = text[:-4]
        key = plain(text)
        hidden = basename(path).startswith(".")
        name, pictures = (None if hidden else folder.pick(text)) or ("", ())
        rows[name].append((key == name, path, pictures, key))
    orphans = {key: path for _, path, _, key in rows.pop("", ())}
    best = {}
    for name, several in rows.items():  # the picture's own name before another spelling, x.xml before x.XML
        *rest, chosen = sorted(several)
        if chosen[0] or len({plain(bare(row[3])).lower() for row in several}) == 1:
            best[name] = chosen[1:3]
        else:  # cam1/0001.xml and cam2/0001.xml for the one 0001.jpg
            rest = several
        orphans |= {row[1] if row[3] in folder.pictures else row[3]: row[1] for row in rest}
    return best, orphans


def find_voc(root: Path, folder: Folder) -> Labels | None:
    """Pascal VOC: one XML file a picture, in JPEGImages and Annotations, side by side, or in folders of any name."""
    home, parts = classic_home(root, folder.visible)
    if parts:
        folder = Folder(folder.files, parts["jpegimages/"])
    below = parts.get("annotations/", "")
    papers = [path for path in folder.files if suffix(path) == ".xml" and path.startswith(below)]
    paired, orphans = pair(folder, papers)
    entries = {}
    for name, (path, pictures) in paired.items():
        entries[name] = Entry(pictures, path, partial(read_annotation, folder.files[path], path))
    return Labels("voc", folder, entries, orphans, home) if entries or parts else None


def find_coco(root: Path, folder: Folder) -> Labels | None:
    """COCO JSON: one file, or one a split (its name or folder says which)."""
    papers = [path for path in folder.visible if suffix(path) == ".json" and not folder.pictures.get(path[:-5])]
    main = [path for path in papers if basename(path).startswith("instances")]  # beside captions, keypoints
    only = [path for path, file in folder.files.items() if file == str(root.absolute())]
    files, labels = [], Labels("coco", folder)
    for path in only or main or papers:
        try:
            files.append(CocoFile(folder.files[path], path))
        except DataError as error:
            if only or main:
                raise
            folder.doubts.append(str(error))
    splits = [split_word(file.where, whole=False) for file in files]
    if len(set(splits)) < len(files) or (len(files) > 1 and None in splits):
        raise choose(root, "several COCO files", [file.where for file in files])
    for file, split in zip(files, splits, strict=True):
        names, near = [], file.where.removesuffix(basename(file.where))
        for number, image in file.images.items():
            text = image["file_name"]
            name, pictures = folder.pick(text, near, split) or (plain(bare(file_key(text))), ())
            if name in labels.entries:
                raise DataError(f"{file.where}: two images mean {name} ({text}); take one of them out.")
            labels.entries[name] = Entry(pictures, f"{file.where}, {text}", partial(file.read, number))
            names.append(name)
        labels.notes += [Note("homeless", file.where, detail=f"annotation {number}") for number in file.homeless]
        if split and not only:
            labels.lists[split] = names
    return labels if files else None


def find_yolo(root: Path, folder: Folder) -> Labels | None:
    """YOLO txt: one file a picture in labels/ or beside it, and data.yaml or classes.txt for the names."""
    tables = [path for path in folder.visible if basename(path).lower() in CLASS_LISTS]
    papers = [path for path in folder.visible if suffix(path) == ".txt" and path not in tables]
    paired, lone = pair(folder, papers)
    if not any(_boxes(folder.files[path], path) for path, _ in paired.values()):
        return None
    tables = tables or [path for path in folder.visible if suffix(path) in (".yaml", ".yml")]
    found = {path: table for path in tables if (table := class_table(folder.files[path], path))}
    if not found:
        example = next(path for path, _ in paired.values())
        remedy = "write classes.txt, one name a line, or data.yaml with `names:`"
        raise DataError(f"{root}: YOLO txt files (such as {example}) without class names; {remedy}.")
    class_names = next(iter(found.values()))
    if any(table != class_names for table in found.values()):
        raise DataError(f"{root}: {' and '.join(found)} name different classes; remove those that do not belong.")
    entries = {}
    bare_ones = {name: (None, tuple(pictures)) for name, pictures in folder.pictures.items()}  # without objects
    for name, (path, pictures) in {**bare_ones, **paired}.items():
        where = path or pictures[0]
        entries[name] = Entry(pictures, where, partial(read_yolo, path and folder.files[path], where, class_names))
    orphans = {name: path for name, path in lone.items() if _boxes(folder.files[path], path)}
    return Labels("yolo", folder, entries, orphans)


def _boxes(path: str, where: str) -> bool:
    """Whether a text file's first line looks like a YOLO box."""
    try:
        words = next((line.split() for line in read_text(path, where).splitlines() if line.strip()), [])
        return len(words) >= 5 and all(float(word) < 1e9 for word in words)
    except ValueError:
        return False


def _lists(labels: Labels) -> dict[str, list[str] | str]:
    """Splits by lists in text files: all in ImageSets/Main, or else those called as a split is; without any, by folder."""
    home, used = labels.home, {entry.where for entry in labels.entries.values()}
    texts = [path for path in labels.folder.visible if suffix(path) == ".txt" and path.startswith(home)]
    main = [path for path in texts if path.lower().startswith(f"{home.lower()}imagesets/main/")]
    rest = [path for path in texts if bare(basename(path)).lower() in SPLIT_WORDS and path not in used]
    found = sorted(main or rest, key=lambda path: -path.count("/"))  # of two, the one less deep
    stems = [(bare(basename(path)), path) for path in found]
    folders = defaultdict(list)
    for name, entry in labels.entries.items():
        if split := split_word(dirname("".join(entry.pictures[:1]))):
            folders[split].append(name)
    return {SPLIT_WORDS.get(stem.lower(), stem): path for stem, path in stems} or dict(folders)


FORMS = {"voc": ("Pascal VOC", find_voc), "coco": ("COCO JSON", find_coco), "yolo": ("YOLO txt", find_yolo)}


def find_labels(root: Path, form: str | None = None) -> Labels:
    """Recognise what a folder (or one COCO file) holds.

    Args:
        root: the folder, or a COCO JSON file.
        form: "voc", "coco" or "yolo", where a folder holds several.

    Raises:
        DataError: nothing is recognised, or more than one thing; the message names the choices.
    """
    one = root.is_file()
    place = root.absolute().parent if one else root
    if not place.is_dir():
        raise DataError(f"{root}: no such folder; correct the path.")
    folder = Folder(walk(place))
    if one and not folder.pictures:  # annotations/instances.json beside images/
        folder = Folder(walk(place.parent))
    forms = ["coco"] if one else [form] if form else FORMS
    found = [labels for name in forms if (labels := FORMS[name][1](root, folder))]
    if len(found) > 1:
        kinds = " and ".join(f"{FORMS[labels.form][0]} ({labels.form!r})" for labels in found)
        raise DataError(f"{root}: holds {kinds}; choose one with COURSE_FORMAT={found[0].form} or form=.")
    if found:
        return found[0]
    kinds = Counter(suffix(path) or "without suffix" for path in folder.files).most_common(5)
    there = ", ".join(f"{count} {kind}" for kind, count in kinds) or "no files"
    known = "Pascal VOC .xml, COCO .json, or YOLO .txt with classes.txt or data.yaml, each named after its picture"
    remedy = "Point to the folder that holds pictures and annotations, or export them in one of these formats."
    doubt = "".join(f" {it}" for it in folder.doubts[:1])
    raise DataError(f"{root}: no annotations of its pictures found ({known}); there are {there}. {remedy}{doubt}")


def split_names(root: Path, labels: Labels, split: str | None, notes: list[Note]) -> tuple[list[str], str]:
    """The names of a split, and in words where it comes from; train and val are made where nothing says what they are.

    Args:
        root: the folder, for messages.
        labels: what was found in it.
        split: "train", "val" or another; None for all pictures with an annotation.
        notes: takes what is noted about a list.

    Raises:
        DataError: there is no such split, its list cannot be read, or a line of it may mean several pictures.
    """
    if split is None:
        return list(labels.entries), "all"
    folder, lists, whole = labels.folder, labels.lists or _lists(labels), None
    folder.index({*folder.pictures, *labels.entries, *labels.orphans})
    wanted = SPLIT_WORDS.get(split.lower(), split)
    if not lists:
        whole = list(labels.entries)
    elif "trainval" in lists and not {"train", "val"} & set(lists):
        whole = _listed(folder, lists["trainval"], notes)
    elif isinstance(lists.get("train"), list) and "val" not in lists:
        whole = lists["train"]
    if whole is not None and wanted in ("train", "val"):
        order = sorted(whole)
        random.Random(SEED).shuffle(order)
        count = max(1, round(SHARE * len(order)))
        if len(order) < 2:
            raise DataError(f"{root}: one picture cannot be split into train and val; add pictures, or use split=None.")
        chosen = set(order[:count] if wanted == "val" else order[count:])
        return [name for name in whole if name in chosen], f"made here, 80 to 20, seed {SEED}"
    if wanted not in lists:
        there = ", ".join(sorted(lists)) or "no list at all"
        remedy = "write it, one picture's name a line; split=None reads every picture"
        raise DataError(f"{root}: no split list ImageSets/Main/{split}.txt (there: {there}); {remedy}.")
    place = lists[wanted]
    return _listed(folder, place, notes), f"listed in {place}" if isinstance(place, str) else "by folder or file"


def _listed(folder: Folder, where: list[str] | str, notes: list[Note]) -> list[str]:
    """The names in a list: one a line, perhaps with suffix, folder, or VOC's column of 1, 0 and −1.

    All names count, whatever the column says: a picture without the class is still a picture to search.
    """
    if not isinstance(where, str):
        return where
    names: dict[str, str] = {}
    for line in read_text(folder.files[where], where).splitlines():
        line = file_key(line.strip())
        short = re.sub(r"\s+[+-]?[01]$", "", line)
        found = folder.find(line) or folder.find(short)
        text = plain(bare(short.replace("\\", "/")))
        if len(found) > 1:
            raise DataError(f"{where}: {line} may be {' or '.join(found)}; write the folder before the name.")
        name = found[0] if found else text
        if not name:
            continue
        if name not in (text, line) and name.lower() in (text.lower(), line.lower()):
            notes.append(Note("spelling", where, detail=text))
        if name in names and names[name].lower() not in (text.lower(), name.lower()):
            raise DataError(f"{where}: {names[name]} and {text} both mean {name}; correct the one that does not.")
        if name in names:
            notes.append(Note("repeated", where, detail=name))
        names[name] = text
    if not names:
        raise DataError(f"{where}: no names in it; write one picture's name a line.")
    return list(names)
