"""Which files of a folder belong together: Pascal VOC in any layout, COCO JSON, YOLO txt; and which splits they make.

A picture's name is its path in the folder without suffix and without words such as JPEGImages or images, so that
`train/images/a.jpg` and `train/labels/a.txt` are both `train/a`, and `cam1/0001` and `cam2/0001` are two pictures.
"""

import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from course_lib.data.formats import CocoFile, class_table, read_yolo
from course_lib.data.voc_files import (
    Annotation,
    DataError,
    Note,
    file_key,
    picture_suffixes,
    read_annotation,
    read_text,
)

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
               "test": "test", "testing": "test", "trainval": "trainval"}  # fmt: skip
FOLDER_WORDS = set("jpegimages images image imgs img pictures photos annotations annotation annots anns xmls xml labels "
                   "label txt yolo bboxes".split())  # fmt: skip
PAPERS = (".xml", ".txt", ".json", ".csv", ".yaml", ".yml", ".md", ".names", ".html", ".py", ".ipynb")  # no pictures
CLASS_LISTS = ("data.yaml", "data.yml", "classes.txt", "obj.names", "_darknet.labels", "labels.txt")
SEED, SHARE = 0, 0.2  # of a split that is made here: where it starts, and the share of val


class Entry(NamedTuple):
    """One picture that an annotation describes: the files it may be, what to call the annotation, how to read it."""

    pictures: tuple[str, ...]
    where: str
    read: Callable[[], Annotation]


@dataclass
class Labels:
    """What one kind of annotation says about a folder.

    entries: {name: entry}. lists: {split: names, or the path of a list that is read when it is asked for}.
    orphans: {name: annotation file} without a picture of their own. papers: all annotation files.
    """

    form: str
    folder: "Folder"
    entries: dict[str, Entry] = field(default_factory=dict)
    lists: dict[str, list[str] | str] = field(default_factory=dict)
    orphans: dict[str, str] = field(default_factory=dict)
    papers: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


@cache
def split_word(path: str, whole: bool = True) -> str | None:
    """The split that a folder on a path names (`valid`, `train2017`, `test_images`), or any word in it if not `whole`."""
    for part in reversed(path.split("/")):
        words = [word for word in re.split(r"[^a-z]+", part.lower()) if word and word not in FOLDER_WORDS]
        named = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
        if named and (len(words) == 1 or not whole):
            return named[0]
    return None


def folder_of(path: str) -> str:
    """The folder part of a relative path, without the stroke."""
    return path.rpartition("/")[0]


def last(path: str) -> str:
    """The last part of a relative path."""
    return path.rpartition("/")[2]


def bare(path: str) -> str:
    """A path without a picture's or an annotation's suffix."""
    stem, dot, suffix = path.rpartition(".")
    known = stem and ((suffix := dot + suffix.lower()) in picture_suffixes() or suffix in (".xml", ".txt"))
    return stem if known else path


def plain(path: str) -> str:
    """A path without words that only say what lies in a folder: images/train → train, test_labels → test."""
    folder, _, file = path.rpartition("/")
    return _plain_folder(folder) + file if folder else file


@cache
def _plain_folder(folder: str) -> str:
    kept = []
    for part in folder.split("/"):
        words = re.split(r"[ _.-]", part)
        left = [word for word in words if word.lower() not in FOLDER_WORDS]
        kept.append(part if len(left) == len(words) else "_".join(left))
    return "".join(part + "/" for part in kept if part)


def common_folder(paths: Iterable[str]) -> str:
    """The folder that holds all paths, with a stroke behind it, no deeper than the first that names a split."""
    parts = os.path.commonprefix([path.split("/")[:-1] for path in paths])
    return "".join(part + "/" for part in takewhile(lambda part: not split_word(part), parts))


def walk(root: Path) -> dict[str, str]:
    """{path relative to the folder: path} of all files, links followed; hidden folders and what is no file left out."""
    found, waiting, seen = {}, [(str(root), "")], set()
    while waiting:
        folder, prefix = waiting.pop()
        try:
            real = os.path.realpath(folder)
            entries = [] if real in seen else sorted(os.scandir(folder), key=lambda entry: entry.name)
            seen.add(real)
        except OSError as error:
            raise DataError(f"{folder}: cannot be opened ({error.strerror}); change its permissions.") from error
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith((".", "__")):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.is_file():
                found[file_key(prefix + entry.name)] = entry.path
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
        self.visible = [path for path in files if not last(path).startswith(".")]
        shown = [path for path in self.visible if path.startswith(within)]
        known = [path for path in shown if os.path.splitext(path)[1].lower() in picture_suffixes()]
        self.prefix = common_folder(known) or within
        named, places = defaultdict(list), defaultdict(set)
        for path in known:
            named[plain(bare(path.removeprefix(self.prefix)))].append(path)
        for name, paths in named.items():
            places[name] = {folder_of(path) for path in paths}
        self.pictures: dict[str, list[str]] = defaultdict(list)
        for name, paths in named.items():
            for path in paths:  # in two folders, of the same plain name: the whole path tells them apart
                self.pictures[name if len(places[name]) == 1 else bare(path)].append(path)
        strange = [path for path in shown if self._strange(path)]
        self.others = {plain(os.path.splitext(path.removeprefix(self.prefix))[0]): path for path in strange}
        self.index(self.pictures)

    def _strange(self, path: str) -> bool:
        suffix = os.path.splitext(path)[1].lower()
        return bool(suffix) and suffix not in picture_suffixes() and suffix not in PAPERS

    def index(self, names: Iterable[str]) -> None:
        """Make these names known to `find`."""
        self._names, self._folded, self._last = set(names), defaultdict(list), defaultdict(list)
        for name in self._names:
            self._folded[name.lower()].append(name)
            self._last[name.rpartition("/")[2].lower()].append(name)

    def find(self, text: str) -> list[str]:
        """The names that a line of a list, or an annotation, may mean: its own, with fewer folders, or the last part."""
        text = file_key(text).replace("\\", "/")
        parts = [part for part in text.split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for name in (tail, bare(tail), plain(tail), plain(bare(tail))):
                if name in self._names:
                    return [name]
            for name in (tail, bare(tail), plain(bare(tail))):
                if len(self._folded[name.lower()]) == 1:
                    return self._folded[name.lower()]
        return sorted(self._last[bare(parts[-1]).lower()]) if parts else []

    def pick(self, text: str, near: str = "", split: str | None = None) -> tuple[str, tuple[str, ...]] | None:
        """The name and the picture files that an annotation means; None where no picture fits.

        Args:
            text: the picture's path as the annotation writes it.
            near: folder of the annotation, and split: what it is for; they decide where a last part occurs twice.
        """
        near = near.removeprefix(self.prefix)
        found = self.find(near + text if plain(bare(near + text)) in self._names else text)
        pictures = [path for name in found for path in self.pictures.get(name, ())]
        if len(found) > 1:
            pictures = [path for path in pictures if split and split_word(folder_of(path)) == split] or pictures
        file = last(file_key(text).replace("\\", "/"))
        exact = [path for path in pictures if last(path) == file]
        if len(pictures) > 1 and len(exact) == 1:  # of a.jpg and a.png, the whole file name becomes the name
            return exact[0].removeprefix(self.prefix), tuple(exact)
        if len(pictures) == 1:
            return plain(bare(pictures[0].removeprefix(self.prefix))) if len(found) > 1 else found[0], tuple(pictures)
        if not pictures:  # a.HEIC, which is named when it is read
            keys = [key for key in (plain(text), plain(os.path.splitext(text)[0])) if key in self.others]
            return (keys[0], (self.others[keys[0]],)) if keys else None
        return found[0] if len(found) == 1 else plain(bare(text)), tuple(pictures)


def choose(root: Path, what: str, choices: Iterable[str]) -> DataError:
    """The error that asks which of several things is meant."""
    return DataError(f"{root}: {what} ({', '.join(sorted(choices))}); choose one of them (COURSE_DATA, or --data).")


def classic_home(root: Path, files: Iterable[str]) -> str | None:
    """The folder with JPEGImages and Annotations in it, with a stroke behind it; None where there is none."""
    found = defaultdict(set)
    for path in files:
        parts = path.split("/")
        for k, part in enumerate(parts[:-1]):
            if part.lower() == "jpegimages" or (part.lower() == "annotations" and path.lower().endswith(".xml")):
                found["".join(f"{other}/" for other in parts[:k])].add(part.lower())
    homes = [home for home, parts in found.items() if len(parts) == 2 and not split_word(home)]
    if len(homes) > 1 and "" not in homes:
        raise choose(root, "several Pascal VOC sets", [home.rstrip("/") for home in homes])
    return ("" if "" in homes else homes[0]) if homes else None


def pair(folder: Folder, papers: list[str]) -> tuple[dict[str, tuple[str, tuple[str, ...]]], dict[str, str]]:
    """{name: (annotation file, pictures)}, and {name: annotation file} of those without a picture of their own."""
    prefix = common_folder(path for path in papers if not last(path).startswith("."))
    rows, orphans = defaultdict(list), {}
    for path in papers:
        text = path.removeprefix(prefix)
        while text.lower().endswith((".xml", ".txt")):
            text = text[:-4]
        key = plain(text)
        picked = None if last(path).startswith(".") else folder.pick(text)
        if picked:
            rows[picked[0]].append((key == picked[0], path, picked[1], key))
        else:
            orphans[key] = path
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
    home = classic_home(root, folder.visible)
    if home is not None:
        pictures = next(path for path in folder.files if path.lower().startswith(home.lower() + "jpegimages/"))
        folder = Folder(folder.files, pictures[: len(home) + len("jpegimages/")])
    below = home + "annotations/" if home is not None else ""
    papers = [path for path in folder.files if path.lower().endswith(".xml") and path.lower().startswith(below.lower())]
    paired, orphans = pair(folder, papers)
    if not paired and home is None:
        return None
    entries = {
        name: Entry(pictures, path, partial(read_annotation, folder.files[path], path))
        for name, (path, pictures) in paired.items()
    }
    return Labels(
        "voc", folder, entries, _written_lists(folder, home or "", {}) or _folder_lists(entries), orphans, papers
    )


def find_coco(root: Path, folder: Folder, only: str = "") -> Labels | None:
    """COCO JSON: one file, or one a split (its name or folder says which)."""
    files: dict[str | None, list[CocoFile]] = defaultdict(list)
    papers = [path for path in folder.visible if path.lower().endswith(".json") and not folder.pictures.get(path[:-5])]
    main = [path for path in papers if last(path).startswith("instances")]  # beside captions, keypoints
    for path in [only] if only else main or papers:
        try:
            file = CocoFile(folder.files[path], path)
            files[None if only else split_word(path, whole=False)].append(file)
        except DataError as error:
            if only or main:
                raise
            folder.doubts.append(str(error))
    several = [file.where for group in files.values() for file in group]
    if len(several) > len(files) or (len(files) > 1 and None in files):
        raise choose(root, "several COCO files", several)
    labels = Labels("coco", folder)
    for split, group in files.items():
        names = _coco_entries(labels, group[0], split_word(group[0].where, whole=False))
        if split:
            labels.lists[split] = names
    labels.lists = labels.lists or _written_lists(folder, "", {}) or _folder_lists(labels.entries)
    return labels if files else None


def _coco_entries(labels: Labels, file: CocoFile, split: str | None) -> list[str]:
    """Add a COCO file's images to the entries; their names."""
    folder, names = labels.folder, []
    for number, image in file.images.items():
        picked = folder.pick(image["file_name"], file.where.removesuffix(file.where.rpartition("/")[2]), split)
        name, pictures = picked or (plain(bare(file_key(image["file_name"]))), ())
        if name in labels.entries:
            raise DataError(f"{file.where}: two images mean {name} ({image['file_name']}); take one of them out.")
        labels.entries[name] = Entry(pictures, file.where, partial(file.read, number))
        names.append(name)
    labels.notes += [Note("homeless", file.where, detail=f"annotation {number}") for number in file.homeless]
    return names


def find_yolo(root: Path, folder: Folder) -> Labels | None:
    """YOLO txt: one file a picture in labels/ or beside it, and data.yaml or classes.txt for the names."""
    papers = [path for path in folder.visible if path.lower().endswith(".txt")]
    papers = [path for path in papers if last(path).lower() not in CLASS_LISTS]
    paired, lone = pair(folder, papers)
    tables = [path for path in folder.visible if last(path).lower() in CLASS_LISTS]
    tables = tables or [path for path in folder.visible if path.lower().endswith((".yaml", ".yml"))]
    if not paired or not any(_boxes(folder.files[path], path) for path, _ in paired.values()):
        return None
    found = {path: table for path in tables if (table := class_table(folder.files[path], path))}
    if not found:
        raise DataError(
            f"{root}: YOLO txt files (such as {next(iter(paired.values()))[0]}) without class names; write classes.txt, "
            "one name a line, or data.yaml with `names:`."
        )
    if any(table != next(iter(found.values())) for table in found.values()):
        raise DataError(f"{root}: {' and '.join(found)} name different classes; remove those that do not belong.")
    class_names = next(iter(found.values()))
    entries = {}
    bare_ones = {name: (None, tuple(pictures)) for name, pictures in folder.pictures.items()}  # without objects
    for name, (path, pictures) in {**bare_ones, **paired}.items():
        where = path or pictures[0]
        entries[name] = Entry(pictures, where, partial(read_yolo, path and folder.files[path], where, class_names))
    lists = _written_lists(folder, "", paired) or _folder_lists(entries)
    return Labels(
        "yolo", folder, entries, lists, {k: path for k, path in lone.items() if _boxes(folder.files[path], path)}
    )


def _boxes(path: str, where: str) -> bool:
    """Whether a text file's first line looks like a YOLO box."""
    try:
        words = next((line.split() for line in read_text(path, where).splitlines() if line.strip()), [])
        return len(words) >= 5 and all(float(word) < 1e9 for word in words)
    except ValueError:
        return False


def _written_lists(folder: Folder, home: str, taken: dict) -> dict[str, str]:
    """Split lists in text files: all in ImageSets/Main, or else those that are called as a split is."""
    texts = [path for path in folder.visible if path.lower().endswith(".txt") and path.startswith(home)]
    main = [path for path in texts if path.lower().startswith(f"{home.lower()}imagesets/main/")]
    used = {path for path, _ in taken.values()}
    rest = [path for path in texts if bare(last(path)).lower() in SPLIT_WORDS and path not in used]
    found = sorted(main or rest, key=lambda path: -path.count("/"))  # of two, the one less deep
    stems = [(bare(last(path)), path) for path in found]
    return {SPLIT_WORDS.get(stem.lower(), stem): path for stem, path in stems}


def _folder_lists(entries: dict[str, Entry]) -> dict[str, list[str]]:
    """Splits by folder: train/, valid/, test_images/."""
    lists = defaultdict(list)
    for name, entry in entries.items():
        if split := split_word(folder_of(entry.pictures[0] if entry.pictures else "")):
            lists[split].append(name)
    return dict(lists)


FORMS = {"voc": ("Pascal VOC", find_voc), "coco": ("COCO JSON", find_coco), "yolo": ("YOLO txt", find_yolo)}


def find_labels(root: Path, form: str | None = None) -> Labels:
    """Recognise what a folder (or one COCO file) holds.

    Args:
        root: the folder, or a COCO JSON file.
        form: "voc", "coco" or "yolo", where a folder holds several.

    Raises:
        DataError: nothing is recognised, or more than one thing; the message names the choices.
    """
    place, only = (root.parent, root.name) if root.is_file() else (root, "")
    if not place.is_dir():
        raise DataError(f"{root}: no such folder; correct the path.")
    folder = Folder(walk(place))
    if only and not folder.pictures:  # annotations/instances.json beside images/
        folder, only = Folder(walk(place.parent)), f"{place.name}/{only}"
    if only:
        return find_coco(root, folder, file_key(only))
    found = {name: labels for name in ([form] if form else FORMS) if (labels := FORMS[name][1](root, folder))}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        kinds = " and ".join(f"{FORMS[name][0]} ({name!r})" for name in found)
        raise DataError(f"{root}: holds {kinds}; choose one with COURSE_FORMAT={next(iter(found))} or form=.")
    kinds = Counter(os.path.splitext(path)[1].lower() for path in folder.files)
    there = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in kinds.most_common(5))
    raise DataError(
        f"{root}: no annotations of its pictures found (Pascal VOC .xml, COCO .json, or YOLO .txt with classes.txt or "
        f"data.yaml, each named after its picture); there are {there or 'no files'}. Point to the folder that holds "
        "pictures and annotations, or export them in one of these formats."
        + "".join(f" {it}" for it in folder.doubts[:1])
    )


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
    labels.folder.index({*labels.folder.pictures, *labels.entries, *labels.orphans})
    lists, wanted = labels.lists, SPLIT_WORDS.get(str(split).lower(), split)
    whole = None if lists else list(labels.entries)
    if "trainval" in lists and not {"train", "val"} & set(lists):
        whole = _listed(labels, "trainval", notes)
    elif isinstance(lists.get("train"), list) and "val" not in lists:
        whole = lists["train"]
    if split is None:
        return list(labels.entries), "all"
    if whole is not None and wanted in ("train", "val"):
        order = sorted(whole)
        random.Random(SEED).shuffle(order)
        count = max(1, round(SHARE * len(order)))
        if len(order) < 2:
            raise DataError(f"{root}: one picture cannot be split into train and val; add pictures, or use split=None.")
        chosen = set(order[:count] if wanted == "val" else order[count:])
        return [name for name in whole if name in chosen], f"made here, 80 to 20, seed {SEED}"
    if wanted not in lists:
        raise DataError(
            f"{root}: no split list ImageSets/Main/{split}.txt (there: {', '.join(sorted(lists)) or 'no list at all'}); "
            "write it, one picture's name a line. VOCFolder(root, split=None) reads every picture."
        )
    place = lists[wanted]
    return _listed(labels, wanted, notes), f"listed in {place}" if isinstance(place, str) else "by folder or file"


def _listed(labels: Labels, split: str, notes: list[Note]) -> list[str]:
    """The names in a split's list: one a line, perhaps with suffix, folder, or VOC's column of 1, 0 and −1.

    All names count, whatever the column says: a picture without the class is still a picture to search.
    """
    where = labels.lists[split]
    if not isinstance(where, str):
        return where
    names: dict[str, str] = {}
    for line in read_text(labels.folder.files[where], where).splitlines():
        line = file_key(line.strip())
        short = re.sub(r"\s+[+-]?[01]$", "", line)
        found = labels.folder.find(line) or labels.folder.find(short)
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
