"""The course's data set: a folder of pictures with boxes, in whatever layout and state, as tensors.

What can be mended without guessing at a label is mended and counted in `VOCFolder.summary`; what cannot is collected
and raised as one `DataError`. The tables of layouts and mishaps stand in `data/README.md`.
"""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import basename, splitext

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data import mending
from course_lib.data.layouts import FORMS, find_labels, split_names
from course_lib.data.mending import LEFT_OUT, MENDED, MISHAPS, NOTED
from course_lib.data.transforms import letterbox_boxes, letterbox_picture
from course_lib.data.voc_files import Annotation, DataError, Note, file_key, picture_size, read_picture, upright
from course_lib.data.voc_writer import write_voc
from course_lib.progress import progress

__all__ = ["LEFT_OUT", "MENDED", "NOTED", "DataError", "Note", "VOCFolder", "write_voc"]

KEEP_BYTES = 1 << 30
Target = dict[str, Tensor]


def clean_name(name: str) -> str:
    """A class name without what cannot be seen: invisible characters, double blanks, its Unicode form."""
    name = unicodedata.normalize("NFC", name)
    seen = "".join(char for char in name if char.isspace() or unicodedata.category(char) not in ("Cf", "Cc"))
    return " ".join(seen.split()) or name


@dataclass(eq=False)
class Sample:
    """A picture: its name, its path, the EXIF orientation by which it was turned, its size (H, W) before letterboxing,
    what messages call its annotation, the number of objects found in that and its notes; then its target, the number
    of each row's object, and its pixels [3, H, W] uint8 (None where they are read again)."""

    name: str
    path: str
    turned: int
    size: tuple[int, int]
    where: str
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
        self._others, self._smallest = others, smallest
        self._lost, self._folder_notes, self._problems = 0, [], []
        self._labels = find_labels(self.root, form)
        names, source = split_names(self.root, self._labels, split, self._folder_notes)
        self.layout = f"{FORMS[self._labels.form][0]}, split {source}"
        self._note_files(names, source.startswith("listed"))
        self._read_annotations()
        self._name_classes(class_names)
        self._find_unknown_classes(names)
        hint = "" if self._problems else "\nCOURSE_DAMAGED=skip, or damaged='skip', leaves these pictures out."
        self._read_pictures(names)
        self._weigh()
        self._samples = [sample for sample in self._samples if self._attempt(sample.name, self._read_objects, sample)]
        if self._problems and (not hint or damaged == "raise" or not self._samples):
            shown = "".join(f"\n  - {problem}" for problem in self._problems[:10])
            more = f"\n  and {len(self._problems) - 10} more" if len(self._problems) > 10 else ""
            raise DataError(f"{root}: problems that cannot be mended ({len(self._problems)}):{shown}{more}{hint}")
        del self._labels, self._annotations, self._problems
        if not quiet:
            print(self.summary)

    def _note_files(self, names: list[str], listed: bool) -> None:
        """Note annotations without a picture; and pictures without one, where no written list says what is meant."""
        labels, known = self._labels, set(names)
        used = {path for entry in labels.entries.values() for path in entry.pictures}
        lone = [path for paths in labels.folder.pictures.values() for path in paths if path not in used and not listed]
        self._folder_notes += labels.notes
        self._folder_notes += [Note("stray", path) for name, path in labels.orphans.items() if name not in known]
        self._folder_notes += [Note("unlabelled", path) for path in lone]
        labels.entries |= {name: labels.absent(self.root, name) for name in names if name not in labels.entries}

    def _read_annotations(self) -> None:
        """Read every annotation of the folder; what cannot be read is tried again, and told, with its picture."""
        self._annotations: dict[str, Annotation] = {}
        for name, entry in self._labels.entries.items():
            with suppress(DataError):
                self._annotations[name] = entry.read()

    def _name_classes(self, class_names: Sequence[str] | None) -> None:
        """Number the classes, by default every class of the folder, sorted: labels do not depend on the split."""
        spellings: dict[str, set[str]] = {}
        for name in {name for label in self._annotations.values() for name in label.names}:
            spellings.setdefault(clean_name(name), set()).add(name)
        if class_names is None:
            if not spellings and len(self._annotations) == len(self._labels.entries):
                raise DataError(f"{self.root}: not one object in its annotations; label some, or pass class_names=.")
            class_names = sorted(next(iter(raw)) if len(raw) == 1 else key for key, raw in spellings.items())
            folded, form = Counter(name.lower() for name in class_names), self._labels.form
            self._folder_notes += [Note("case", form, detail=name) for name in class_names if folded[name.lower()] > 1]
        self.class_names = tuple(class_names)
        numbers = {clean_name(name): number for number, name in enumerate(class_names, start=1)}
        self._numbers = {name: numbers.get(key, 0) for key, raw in spellings.items() for name in raw}
        self._varied = {name for key, raw in spellings.items() for name in raw if len(raw) > 1 and name != key}

    def _find_unknown_classes(self, names: list[str]) -> None:
        """Name every object of a class that is not asked for as a problem, unless these are dropped."""
        remedy = "correct the name, add it to class_names=, or pass others='drop'"
        for label in [self._annotations.get(name) for name in names]:
            for number, name in enumerate(label.names if label and self._others == "raise" else (), start=1):
                if not self._numbers[name]:
                    near = difflib.get_close_matches(name, self.class_names, n=1)
                    hint = f" Did you mean {near[0]!r}?" if near else ""
                    what = f"not one of the classes {', '.join(self.class_names)}; {remedy}.{hint}"
                    self._problems.append(f"{label.place(number, name)}: {what}")

    def _attempt(self, name: str, read: Callable, *inputs: object) -> object:
        """What `read` gives; None where a picture or its annotation is damaged, which is noted, with its objects."""
        try:
            return read(*inputs)
        except DataError as error:
            self._problems.append(str(error))
            self._folder_notes.append(Note("damaged", self._labels.entries[name].where, detail=str(error)))
        if label := self._annotations.get(name):
            self._folder_notes += [Note("lost", label.where, k, raw) for k, raw in enumerate(label.names, start=1)]
            self._lost += len(label.names)
        return None

    def _read_pictures(self, names: list[str]) -> None:
        """Read every picture of the split, and keep the pixels while there is room."""
        self._samples: list[Sample] = []
        pixels, room = {}, KEEP_BYTES
        if self.size is not None:  # one piece of memory, and no small ones between the large ones that come and go
            rows = min(len(names), KEEP_BYTES // (3 * self.size[0] * self.size[1]))
            pixels = torch.empty((rows, 3, *self.size), dtype=torch.uint8)
        for name in progress(names, f"reading {self.root.name}"):
            if read := self._attempt(name, self._read_picture, name):
                room -= read[0].numel()
                if room >= 0:
                    pixels[len(self._samples)] = read[0]
                self._samples.append(read[1])
        for sample, row in zip(self._samples, range(len(pixels)), strict=False):
            sample.pixels = pixels[row]

    def _read_picture(self, name: str) -> tuple[Tensor, Sample]:
        """A picture [3, H, W] uint8, letterboxed if asked, and what is known of it so far."""
        label = self._annotations.get(name) or self._labels.entries[name].read()
        files = self._labels.folder.files
        picture = self._picture_of(name, label)
        pixels, orientation, mode = read_picture(files[picture], picture)
        if mode != "RGB":
            label.notes.append(Note("rgb", picture, detail=mode))
        pixels, turned = mending.turn(pixels, orientation, label)
        sample = Sample(name, files[picture], turned, pixels.shape[:2], label.where, len(label.names), label.notes)
        return self._fit(pixels), sample

    def _picture_of(self, name: str, label: Annotation) -> str:
        """The path in the folder of the one picture that an annotation belongs to."""
        pictures = self._labels.entries[name].pictures
        stated = basename(file_key(label.filename.replace("\\", "/")))
        if stated and basename(name) not in (stated, splitext(stated)[0]):
            label.note("filename", detail=stated)
        if not pictures:
            missing = f"{self._labels.folder.prefix}{name}{splitext(stated)[1] or '.jpg'}"
            raise DataError(f"{missing}: missing; restore it, or take its name off the split list.")
        named = [path for path in pictures if len(pictures) == 1 or basename(path) == stated]
        if len(named) != 1:
            raise DataError(f"{name}: {', '.join(pictures)} share one name; remove all but the one that was labelled.")
        return named[0]

    def _weigh(self) -> None:
        """Look at all boxes of the folder together, also those of other splits, before one is mended.

        The real sizes of other splits' pictures are only asked for where this split's annotations declare wrong ones.
        """
        known = {sample.name: sample.size[::-1] for sample in self._samples}
        odd = any(self._annotations[name].size not in (None, size) for name, size in known.items())
        judged, files = [], self._labels.folder.files
        for name, label in self._annotations.items():
            pictures = self._labels.entries[name].pictures
            if label.names and pictures:
                other = picture_size(files[pictures[0]], label.size) if odd and name not in known else label.size
                judged.append((label, (1, 1) if label.relative else known.get(name, other)))
        self._scale = mending.weigh(str(self.root), judged)

    def _read_objects(self, sample: Sample) -> Target:
        """Fill in a picture's target."""
        label, size = self._annotations[sample.name], sample.size[::-1]
        boxes = mending.to_pixels(label, size, self._scale)
        boxes, kept = mending.cut_to_picture(boxes, size, label, self._smallest, self._numbers)
        boxes = torch.tensor(boxes, dtype=torch.float32)
        varied = [index for index in kept if label.names[index] in self._varied]
        label.notes += [Note("name", label.where, index + 1, repr(label.names[index])) for index in varied]
        if not kept:
            label.note("empty")
        sample.objects = [index + 1 for index in kept]
        sample.target = {
            "boxes": boxes if self.size is None else letterbox_boxes(boxes, sample.size, self.size),
            "labels": torch.tensor([self._numbers[label.names[index]] for index in kept], dtype=torch.int64),
            "difficult": torch.tensor([label.difficult[index] for index in kept], dtype=torch.bool),
        }
        return sample.target

    def _fit(self, pixels: np.ndarray) -> Tensor:
        """A picture [3, H, W] uint8, letterboxed if asked."""
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
        return image if self.size is None else letterbox_picture(image, self.size)

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
        objects = sum(len(sample.objects) for sample in self._samples)
        parts = [f"{self.root.name}/{self.split or 'all'}: {len(self)} pictures, {objects} objects"]
        parts[0] += f", {len(self.class_names)} classes"
        for title, kinds in MISHAPS.items():
            if said := [f"{text} ({counts[kind]})" for kind, text in kinds.items() if counts[kind]]:
                parts.append(f"{title}: {', '.join(said)}")
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
