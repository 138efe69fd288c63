"""The course's data set: a folder of pictures with boxes, in whatever layout and state, as tensors.

What can be mended without guessing at a label is mended and counted in `VOCFolder.summary`; what cannot is collected
and raised as one `DataError`. The tables of layouts and mishaps stand in `data/README.md`.
"""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data import mending
from course_lib.data.layouts import FORMS, Entry, common_folder, find_labels, split_names
from course_lib.data.mending import LEFT_OUT, MENDED, MISHAPS, NOTED
from course_lib.data.transforms import letterbox_boxes, letterbox_picture
from course_lib.data.voc_files import (
    Annotation,
    DataError,
    Note,
    file_key,
    picture_size,
    read_annotation,
    read_picture,
    upright,
)
from course_lib.data.voc_writer import write_voc
from course_lib.progress import progress

__all__ = ["LEFT_OUT", "MENDED", "NOTED", "DataError", "Note", "VOCFolder", "read_annotation", "write_voc"]

KEEP_BYTES = 1 << 30
Target = dict[str, Tensor]


def clean_name(name: str) -> str:
    """A class name without what cannot be seen: invisible characters, double blanks, its Unicode form."""
    name = unicodedata.normalize("NFC", name)
    seen = "".join(char for char in name if char.isspace() or unicodedata.category(char) not in ("Cf", "Cc"))
    return " ".join(seen.split()) or name


@dataclass(eq=False)
class Sample:
    """A picture: its name, the annotation's and the picture's file, the EXIF orientation by which it was turned, its
    size (H, W) before letterboxing, its annotation while it is read, the number of objects found and its notes; then
    its target, the number of each row's object, and its pixels [3, H, W] uint8 (None where they are read again)."""

    name: str
    where: str
    path: str
    turned: int
    size: tuple[int, int]
    label: Annotation | None
    found: int
    notes: list[Note]
    target: Target | None = None
    objects: list[int] | None = None
    pixels: Tensor | None = None


class VOCFolder(Dataset):
    """A folder of Pascal VOC, COCO or YOLO annotations as (image [3, H, W] float 0–1, dict(boxes, labels, difficult)).

    Everything is read and checked on loading. Pictures stay in memory as bytes (up to 1 GB; the rest is read again
    when asked for). `dataset[3]` is one picture with its target, `dataset[:8]` a list of pictures and a list of
    targets. Both are copies: changing them leaves the data set as it was.

    Attributes:
        class_names: tuple of names; label c is `class_names[c - 1]`.
        layout: which layout was recognised, and where the split comes from.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None,
        class_names: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        others: str = "raise",
        smallest: float = 2,
        quiet: bool = False,
        damaged: str = "raise",
        form: str | None = None,
    ) -> None:
        """Read a split.

        Args:
            root: the folder, or one COCO JSON file.
            split: "train", "val" or another that the folder has; None for every picture that has an annotation. Where
                nothing says which pictures are train and val, a fifth of them, drawn with a seed, is val.
            class_names: the class names in the order of their labels; by default all of the folder's, sorted.
            size: (H, W) to letterbox pictures and boxes to; by default they keep their own size.
            others: what to do with objects of classes not in `class_names`: "raise" or "drop".
            smallest: boxes with a shorter side, in pixels of the picture as it was, are left out. VOC's corners are
                inclusive, so a click without a drag makes a box one pixel wide.
            quiet: do not print the summary.
            damaged: what to do with damaged pictures and annotations: "raise", or "skip" to leave them out.
            form: "voc", "coco" or "yolo", where the folder holds several.

        Raises:
            DataError: all that cannot be mended, ten problems at a time; or a fault that runs through the folder.
        """
        for value, choices in ((others, ("raise", "drop")), (damaged, ("raise", "skip")), (form, (None, *FORMS))):
            if value not in choices:
                raise ValueError(f"{value!r}: choose one of {', '.join(map(repr, choices))}.")
        self.root, self.split, self.size = Path(root), split, size
        self._others, self._smallest, self._damaged = others, smallest, damaged
        self._folder_notes: list[Note] = []
        self._labels = find_labels(self.root, form)
        names, source = split_names(self.root, self._labels, split, self._folder_notes)
        self.layout = f"{FORMS[self._labels.form][0]}, split {source}"
        self._note_files(names, source.startswith("listed"))
        self._read_annotations()
        self._name_classes(class_names)
        self._read_all(names)
        del self._labels, self._annotations
        if not quiet:
            print(self.summary)

    def _note_files(self, names: list[str], listed: bool) -> None:
        """Note annotations without a picture; and pictures without one, where no written list says what is meant."""
        labels, folder = self._labels, self._labels.folder
        self._folder_notes += labels.notes
        known = set(names)
        self._folder_notes += [Note("stray", path) for name, path in labels.orphans.items() if name not in known]
        if not listed:
            used = {path for entry in labels.entries.values() for path in entry.pictures}
            lone = [path for paths in folder.pictures.values() for path in paths if path not in used]
            self._folder_notes += [Note("unlabelled", path) for path in lone]

    def _read_annotations(self) -> None:
        """Read every annotation of the folder; what cannot be read waits for its picture."""
        self._annotations: dict[str, Annotation | DataError] = {}
        for name, entry in self._labels.entries.items():
            try:
                self._annotations[name] = entry.read()
            except DataError as error:
                self._annotations[name] = error

    def _weigh(self) -> None:
        """Look at all boxes of the folder together, also those of other splits, before one is mended.

        The real sizes of other splits' pictures are only asked for where this split's annotations declare wrong ones.
        """
        known = {sample.name: sample.size[::-1] for sample in self._samples}
        odd = any(sample.label.size not in (None, known[sample.name]) for sample in self._samples)
        judged, files = [], self._labels.folder.files
        for name, label in self._annotations.items():
            pictures = self._labels.entries[name].pictures
            if isinstance(label, Annotation) and label.names and pictures:
                other = picture_size(files[pictures[0]], label.size) if odd and name not in known else label.size
                judged.append((label, (1, 1) if label.relative else known.get(name, other)))
        declared = [(label, real) for label, real in judged if real and label.size]
        mending.one_size_for_all(str(self.root), declared)
        self._scale = mending.size_rule(pair for pair in declared if pair[0].size not in (pair[1], pair[1][::-1]))
        sizes = [(label, label.size if self._scale and label.size else real) for label, real in judged]
        mending.refuse_faults(str(self.root), sizes)

    def _name_classes(self, class_names: Sequence[str] | None) -> None:
        """Number the classes, by default every class of the folder, sorted: labels do not depend on the split."""
        sound = [label for label in self._annotations.values() if isinstance(label, Annotation)]
        spellings: dict[str, set[str]] = {}
        for name in {name for label in sound for name in label.names}:
            spellings.setdefault(clean_name(name), set()).add(name)
        if class_names is None:
            if not spellings and len(sound) == len(self._annotations):
                raise DataError(f"{self.root}: not one object in its annotations; label some, or pass class_names=.")
            shown = {key: next(iter(raw)) if len(raw) == 1 else key for key, raw in spellings.items()}
            folded = Counter(name.lower() for name in shown.values())
            class_names = sorted(shown.values())
            doubtful = [name for name in class_names if folded[name.lower()] > 1]
            self._folder_notes += [Note("case", self._labels.form, detail=name) for name in doubtful]
        self.class_names = tuple(class_names)
        self._numbers = {clean_name(name): number for number, name in enumerate(class_names, start=1)}
        self._varied = {key for key, raw in spellings.items() if len(raw) > 1}

    def _unknown_classes(self, name: str) -> list[str]:
        """A sentence for every object of a class that is not asked for, where these may not be dropped."""
        label, problems = self._annotations.get(name), []
        for index, raw in enumerate(label.names if isinstance(label, Annotation) else (), start=1):
            if clean_name(raw) not in self._numbers and self._others == "raise":
                near = difflib.get_close_matches(raw, self.class_names, n=1)
                problems.append(
                    f"{self._labels.entries[name].where}, object {index} ({raw}): not one of the classes "
                    f"{', '.join(self.class_names)}; correct the name, add it to class_names=, or pass others='drop'."
                    + (f" Did you mean {near[0]!r}?" if near else "")
                )
        return problems

    def _read_all(self, names: list[str]) -> None:
        """Read every picture, then its objects; collect what cannot be mended and raise it together."""
        problems = [problem for name in names for problem in self._unknown_classes(name)]
        fatal, self._lost, kept_bytes, block = len(problems), 0, 0, None
        self._samples: list[Sample] = []
        if self.size is not None:  # one piece of memory, and no small ones between the large ones that come and go
            rows = min(len(names), KEEP_BYTES // (3 * self.size[0] * self.size[1]))
            block = torch.empty((rows, 3, *self.size), dtype=torch.uint8)
        for name in progress(names, f"reading {self.root.name}"):
            try:
                image, sample = self._read_picture(name)
            except DataError as error:
                problems.append(str(error))
                self._leave_out(name, str(error))
                continue
            kept_bytes += image.numel()
            self._samples.append(sample)
            if kept_bytes > KEEP_BYTES:
                continue
            if block is None:
                sample.pixels = image
            else:
                block[len(self._samples) - 1] = image
        for sample, image in zip(self._samples, () if block is None else block, strict=False):
            sample.pixels = image
        self._weigh()
        for sample in list(self._samples):
            try:
                self._read_objects(sample)
            except DataError as error:
                problems.append(str(error))
                self._samples.remove(sample)
                self._leave_out(sample.name, str(error))
        if problems and (fatal or self._damaged == "raise" or not self._samples):
            shown = "".join(f"\n  - {problem}" for problem in problems[:10])
            more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
            hint = "" if fatal else "\nCOURSE_DAMAGED=skip, or damaged='skip', leaves these pictures out."
            raise DataError(f"{self.root}: problems that cannot be mended ({len(problems)}):{shown}{more}{hint}")

    def _leave_out(self, name: str, reason: str) -> None:
        """Note a damaged picture or annotation, and its objects where they are known."""
        label, entry = self._annotations.get(name), self._labels.entries.get(name)
        where = entry.where if entry else name
        self._folder_notes.append(Note("damaged", where, detail=reason))
        if isinstance(label, Annotation):
            self._folder_notes += [Note("lost", where, k, raw) for k, raw in enumerate(label.names, start=1)]
            self._lost += len(label.names)

    def _files(self, name: str) -> tuple[str, str, Annotation]:
        """The annotation's and the picture's path in the folder, and what the annotation says."""
        labels, folder = self._labels, self._labels.folder
        entry, label = labels.entries.get(name), self._annotations.get(name)
        if entry is None and labels.form == "voc":
            where = labels.orphans.get(name) or f"{common_folder(labels.papers)}{name}.xml"
            entry = Entry((), where, None)
            label = read_annotation(folder.files.get(where) or self.root / where, where)
        if isinstance(label, DataError):
            raise label
        if label is None:
            raise DataError(f"{name}: no picture or annotation of this name; take it off the split list.")
        stated = file_key(label.filename.replace("\\", "/").rpartition("/")[2])
        if stated and name.rpartition("/")[2] not in (stated, stated.rpartition(".")[0]):
            label.notes.append(Note("filename", entry.where, detail=stated))
        pictures = entry.pictures
        if not pictures:
            missing = f"{folder.prefix}{name}.jpg" if labels.form == "voc" else label.filename
            raise DataError(f"{missing}: missing; restore it, or take its name off the split list.")
        if len(pictures) > 1:
            folders = {path.rpartition("/")[0] for path in pictures}
            twins = ", ".join(path.rpartition("/")[2] if len(folders) == 1 else path for path in pictures)
            pictures = [path for path in pictures if path.rpartition("/")[2] == stated]
            if len(pictures) != 1:
                raise DataError(f"{name}: {twins} share one name; remove all but the one that was labelled.")
        return entry.where, pictures[0], label

    def _read_picture(self, name: str) -> tuple[Tensor, "Sample"]:
        """A picture [3, H, W] uint8, letterboxed if asked, and what is known of it so far."""
        where, picture, label = self._files(name)
        path = self._labels.folder.files[picture]
        pixels, orientation, mode = read_picture(path, picture)
        if mode != "RGB":
            label.notes.append(Note("rgb", picture, detail=mode))
        pixels, turned = mending.turn(pixels, orientation, label, where)
        size, found = pixels.shape[:2], len(label.names)
        return self._fit(pixels), Sample(name, where, path, turned, size, label, found, label.notes)

    def _read_objects(self, sample: "Sample") -> None:
        """Fill in a picture's target."""
        label, where, size = sample.label, sample.where, sample.size[::-1]
        boxes = mending.to_pixels(mending.to_xyxy(label, where), size, label, where, self._scale)
        boxes, kept = mending.cut_to_picture(boxes, size, label, where, self._smallest)
        labels = [self._number(label, index, where) for index in kept]
        rows = [row for row, number in enumerate(labels) if number]
        boxes = torch.tensor(boxes[rows], dtype=torch.float32)
        sample.target = {
            "boxes": boxes if self.size is None else letterbox_boxes(boxes, sample.size, self.size),
            "labels": torch.tensor([labels[row] for row in rows], dtype=torch.int64),
            "difficult": torch.tensor([label.difficult[kept[row]] for row in rows], dtype=torch.bool),
        }
        if not rows:
            label.notes.append(Note("empty", where))
        sample.objects, sample.label = [kept[row] + 1 for row in rows], None

    def _fit(self, pixels: np.ndarray) -> Tensor:
        """A picture [3, H, W] uint8, letterboxed if asked."""
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
        return image if self.size is None else letterbox_picture(image, self.size)

    def _number(self, label: Annotation, index: int, where: str) -> int:
        """The label of an object's class; 0 for another class that is left out."""
        name = label.names[index]
        key = clean_name(name)
        if key not in self._numbers:
            label.notes.append(Note("other", where, index + 1, name))
        elif key in self._varied and name != key:
            label.notes.append(Note("name", where, index + 1, repr(name)))
        return self._numbers.get(key, 0)

    @property
    def names(self) -> list[str]:
        """The pictures' paths without suffix, in the order of the split list."""
        return [sample.name for sample in self._samples]

    @property
    def original_sizes(self) -> list[tuple[int, int]]:
        """(H, W) of every picture before letterboxing."""
        return [sample.size for sample in self._samples]

    @property
    def notes(self) -> list[Note]:
        """Every mishap; `summary` counts them in one line."""
        return self._folder_notes + [note for sample in self._samples for note in sample.notes]

    @property
    def found(self) -> int:
        """Objects in the annotations of these pictures: those in the targets and those left out add up to it."""
        return self._lost + sum(sample.found for sample in self._samples)

    @property
    def _pixels(self) -> list[Tensor | None]:
        return [sample.pixels for sample in self._samples]

    @property
    def summary(self) -> str:
        """One line: pictures, objects, how often what was mended, left out or noted, and the layout."""
        counts = Counter(note.kind for note in self.notes)
        objects = sum(len(sample.target["labels"]) for sample in self._samples)
        parts = [f"{self.root.name}/{self.split or 'all'}: {len(self)} pictures, {objects} objects"]
        parts[0] += f", {len(self.class_names)} classes"
        for title, kinds in MISHAPS.items():
            said = [f"{text} ({counts[kind]})" for kind, text in kinds.items() if counts[kind]]
            parts += [f"{title}: {', '.join(said)}"] if said else []
        return "; ".join([*parts, f"read as {self.layout}"]) + "."

    @property
    def targets(self) -> list[Target]:
        """All targets (copies), without touching a picture."""
        return [{key: value.clone() for key, value in sample.target.items()} for sample in self._samples]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int | slice) -> tuple:
        """One (image, target), or for a slice (list of images, list of targets)."""
        if isinstance(index, slice):
            pairs = [self[i] for i in range(len(self))[index]]
            return [image for image, _ in pairs], [target for _, target in pairs]
        sample = self._samples[range(len(self))[index]]  # negative indices, and IndexError beyond the end
        pixels = sample.pixels
        if pixels is None:
            pixels = self._fit(upright(read_picture(sample.path)[0], sample.turned))
        return pixels.float().div_(255), {key: value.clone() for key, value in sample.target.items()}

    def select(self, indices: Sequence[int]) -> "VOCFolder":
        """The same data set with only these pictures, in this order; the pictures are shared, not copied.

        `notes` and `found` are those of the pictures that stay, and of the folder.
        """
        chosen = object.__new__(type(self))
        chosen.__dict__.update(self.__dict__, _samples=[self._samples[int(i)] for i in indices], _lost=0)
        chosen._folder_notes = [note for note in self._folder_notes if note.kind not in ("damaged", "lost")]
        return chosen

    def keep_objects(self, rows: Sequence[Sequence[int]]) -> "VOCFolder":
        """The same data set with only these objects of each picture, given as rows of its target; the rest is noted."""
        chosen = self.select(range(len(self)))
        for place, (sample, kept) in enumerate(zip(self._samples, rows, strict=True)):
            gone = [number for row, number in enumerate(sample.objects) if row not in kept]
            chosen._samples[place] = replace(
                sample,
                target={key: value[list(kept)] for key, value in sample.target.items()},
                objects=[sample.objects[row] for row in kept],
                notes=sample.notes + [Note("smaller", sample.where, number) for number in gone],
            )
        return chosen
