"""The commands train and detect: what they print and write, on a small drawn folder, with wrong arguments and broken files."""

import csv
import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from PIL import Image
from test_small_folders import NAMES, pairs
from torchvision.models.detection import RetinaNet_ResNet50_FPN_V2_Weights, retinanet_resnet50_fpn_v2

from course_lib.average_precision import COCO_THRESHOLDS, average_precision, detect_all
from course_lib.cli import detect, report, train
from course_lib.cli.options import in_terminal
from course_lib.data import ROOT, VOCFolder
from course_lib.data.formats import CocoFile
from course_lib.data.voc_writer import write_voc
from course_lib.experiments import checkpoints, data_check
from course_lib.experiments.checkpoints import fetch, ready, save_checkpoint, stored_detector
from course_lib.experiments.evaluation import confusion, curves, picture_f1
from course_lib.weights import WeightsError


def command(module, *words: str) -> int:
    """A command's exit code, as in a terminal."""
    old, sys.argv = sys.argv, ["command", *map(str, words)]
    try:
        return module.main()
    except SystemExit as error:
        return error.code
    finally:
        sys.argv = old


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> SimpleNamespace:
    """A folder, the run that two epochs on it made, what was printed, and which splits were read."""
    place, asked, printed = tmp_path_factory.mktemp("commands"), [], []
    splits = {"train": pairs(12, 3, 1), "val": pairs(6, 3, 2), "test": pairs(4, 3, 3)}
    own, out = write_voc(place / "own", splits, NAMES), place / "run"
    with pytest.MonkeyPatch.context() as patch:
        read = train.read
        patch.setattr(train, "read", lambda settings, split: asked.append(split) or read(settings, split))
        patch.setattr(data_check.learn_by_heart, "__defaults__", (3,))
        patch.setattr("builtins.print", lambda *words, **more: printed.append(" ".join(map(str, words))))
        code = command(train, "--data", own, "--out", out, "--size", "64", "--batch", "4", "--epochs", "2")
    return SimpleNamespace(own=own, out=out, code=code, text="\n".join(printed), asked=asked)


def test_check_says_what_is_to_be_known(trained):
    assert trained.code == 0
    words = (
        "cat",
        "dog",
        "hen",
        "reached by an anchor",
        "learned by heart in 3 steps",
        "predict nothing, AP 0",
        "(--lr)",
    )
    assert all(word in trained.text for word in words)
    targets = VOCFolder(trained.own, "train", quiet=True).targets
    row = next(line for line in trained.text.splitlines() if line.split()[:2] == ["2", "dog"])
    assert int(row.split()[2]) == sum(int((target["labels"] == 2).sum()) for target in targets)
    assert (
        f"{sum(not len(target['labels']) for target in targets)} of 12 training pictures have no object" in trained.text
    )
    assert all(Image.open(trained.out / name).size[0] > 300 for name in ("check_sizes.png", "check_pictures.jpg"))


def test_report_holds_the_right_numbers(trained):
    numbers = json.loads((trained.out / "metrics.json").read_text(encoding="utf-8"))
    detector, content = stored_detector(trained.out / "best.pt")
    val = VOCFolder(trained.own, "val", NAMES, tuple(content["settings"]["size"]), quiet=True)
    table = average_precision(detect_all(detector, val), val.targets, 3, thresholds=COCO_THRESHOLDS)
    assert numbers["AP"] == pytest.approx(table.nanmean().item()) and numbers["AP50"] == pytest.approx(
        table[0].nanmean()
    )
    lines = [json.loads(line) for line in (trained.out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2 and numbers["AP"] == pytest.approx(max(line["AP"] for line in lines))
    matrix, objects = (
        torch.tensor(numbers["confusion"]["counts"]),
        [row["objects"] for row in numbers["classes"].values()],
    )
    assert matrix[1:].sum(dim=1).tolist() == objects
    assert sum(objects) == sum(len(target["labels"]) for target in val.targets)
    assert list(numbers["picture_f1"]) == val.names
    assert [row["threshold"] for row in numbers["classes"].values()] == content["thresholds"]
    head, *rows = list(csv.reader((trained.out / "metrics.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row[0] for row in rows] == list(NAMES) and float(rows[1][head.index("AP50")]) == pytest.approx(
        table[0, 1].item()
    )
    assert numbers["settings"]["seed"] == 0 and "data" not in numbers["settings"]
    page = (trained.out / "report.html").read_text(encoding="utf-8")
    assert "4 pictures a step" in page
    assert page.count("src=") == page.count('src="data:image/') == 5 and f"AP50 {numbers['AP50']:.3f}" in page


def test_the_test_split_is_scored_when_asked_and_a_finished_run_is_not_trained_on(trained, capsys):
    assert trained.asked == ["train", "val"] and not (trained.out / "test_metrics.json").exists()
    before = (trained.out / "log.jsonl").read_text(encoding="utf-8")
    assert command(train, "--out", trained.out, "--resume", "--final-test") == 0
    assert json.loads((trained.out / "test_metrics.json").read_text(encoding="utf-8"))["pictures"] == 4
    assert (trained.out / "log.jsonl").read_text(encoding="utf-8") == before
    assert "test: AP50" in capsys.readouterr().out


def test_fitted_anchors_and_the_share_they_reach():
    """Ten objects of 20 × 10, and one of 60 × 60 in each of two other classes: each class weighs the same."""
    boxes = torch.tensor([[0.0, 0, 20, 10]] * 10 + [[0.0, 0, 60, 60]] * 2)
    labels = torch.tensor([1] * 10 + [2, 3])
    sides, ratios = data_check.fit_anchors(boxes, labels)
    assert sides == [16.0 * 2**k for k in range(5)] and ratios == [0.8, 1.26, 2.0]  # √200 is below two strides
    sides, _ = data_check.fit_anchors(2 * boxes, labels)
    assert sides == pytest.approx([round(2 * 200**0.5, 1) * 2**k for k in range(5)])
    assert data_check.fit_anchors(4 * boxes, labels)[0][0] == 32  # and never above four
    assert data_check.weighted_quantiles(torch.tensor([3.0, 1, 2]), torch.ones(3), [0.1, 0.5, 0.9]) == [1, 2, 3]
    anchors = torch.tensor([[0.0, 0, 20, 10], [30.0, 30, 60, 60]])
    assert data_check.best_overlaps(boxes, anchors).tolist() == pytest.approx([1.0] * 10 + [0.25] * 2)


def found(boxes, labels, scores) -> dict:
    return {"boxes": torch.tensor(boxes).float(), "labels": torch.tensor(labels), "scores": torch.tensor(scores)}


HERE, THERE, AWAY = [0, 0, 10, 10], [20, 0, 40, 10], [60, 60, 80, 70]


def test_confusions_and_thresholds_by_hand():
    """One right, one of the wrong class, a second box on the first, a false alarm, one missed, a difficult one."""
    target = found([HERE, THERE, [50, 0, 60, 9], AWAY], [1, 2, 2, 1], [0.0] * 4)
    target["difficult"] = torch.tensor([False, False, False, True])
    said = found([HERE, HERE, THERE, [0, 50, 10, 60], AWAY], [1, 1, 1, 2, 1], [0.9, 0.8, 0.7, 0.6, 0.95])
    assert confusion([said], [target], 2).tolist() == [[0, 1, 1], [0, 1, 0], [1, 1, 0]]
    assert picture_f1(said, target) == pytest.approx(2 * 1 / (4 + 3))
    one, two = curves([said], [target], 2)
    assert (one.threshold, one.objects) == (pytest.approx(0.9), 1) and one.best == (1.0, 1.0, 1.0)
    assert one.scores.tolist() == pytest.approx([0.9, 0.8, 0.7]) and two.threshold == 0.5
    nothing = found([], [], []) | {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    assert picture_f1(nothing, nothing) == 1.0


def test_equal_scores_stand_or_fall_together():
    target = found([HERE, THERE], [1, 1], [0.0, 0.0])
    said = found([HERE, AWAY, THERE], [1, 1, 1], [0.5, 0.5, 0.25])
    (curve,) = curves([said], [target], 1)
    assert curve.threshold == 0.25 and curve.best[2] == pytest.approx(2 * 2 / (3 + 2))


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Pictures of every kind, a broken one and a text, in a folder with a folder inside."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    pixels = (pairs(2, 3, 4)[1][0] * 255).byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    image.save(tmp_path / "in" / "plain.png")
    for mode, name in (("L", "grey.png"), ("P", "palette.gif"), ("CMYK", "deep/cmyk.jpg"), ("RGBA", "deep/plain.png")):
        image.convert(mode).save(tmp_path / "in" / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "in" / "turned.png", exif=exif)
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "plain.png").read_bytes()[:60])
    (tmp_path / "in" / "notes.txt").write_text("no picture", encoding="utf-8")
    return tmp_path / "in"


def test_detect_on_a_mixed_folder(trained, mixed, tmp_path, capsys):
    out = tmp_path / "out"
    words = (mixed, "nowhere.jpg", "--weights", trained.out / "best.pt", "--threshold", "0.02", "--out", out)
    assert command(detect, *words) == 1
    told = capsys.readouterr().err
    assert "cut.png" in told and "nowhere.jpg" in told and told.count("NOT SEARCHED") == 2 and "split list" not in told
    coco = CocoFile(str(out / "detections.json"), "detections.json")
    names = {Path(row["file_name"]).relative_to(mixed).as_posix(): number for number, row in coco.images.items()}
    assert set(names) == {"plain.png", "grey.png", "palette.gif", "turned.png", "deep/cmyk.jpg", "deep/plain.png"}
    drawn = sorted(path.name for path in (out / "drawn").iterdir())
    assert len(drawn) == 6 and Image.open(out / "drawn" / drawn[0]).size == (900, 675)
    plain, turned = coco.read(names["plain.png"]), coco.read(names["turned.png"])
    assert len(plain.names) > 0 and plain.names == turned.names and (plain.corners == turned.corners).all()
    assert plain.size == turned.size == (160, 120)
    assert (plain.corners >= 0).all() and (plain.corners <= [160.1, 120.1] * 2).all()
    rows = list(csv.DictReader((out / "detections.csv").read_text(encoding="utf-8-sig").splitlines()))
    annotations = json.loads((out / "detections.json").read_text(encoding="utf-8"))["annotations"]
    assert len(rows) == len(annotations) and {row["class"] for row in rows} <= set(NAMES)
    x1, _, x2, _ = (float(rows[0][key]) for key in ("x1", "y1", "x2", "y2"))
    assert x2 - x1 == pytest.approx(annotations[0]["bbox"][2], abs=0.11)


def test_an_interrupted_detect_writes_what_it_has(trained, mixed, tmp_path, capsys, monkeypatch):
    seen, look = [], detect.open_picture

    def third(path):
        seen.append(path)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return look(path)

    monkeypatch.setattr(detect, "open_picture", third)
    words = (mixed, "--weights", trained.out / "best.pt", "--threshold", "0.02", "--out", tmp_path / "out")
    assert command(detect, *words) == 130
    images = json.loads((tmp_path / "out" / "detections.json").read_text(encoding="utf-8"))["images"]
    broken = sum(path.name == "cut.png" for path in seen[:3])
    assert len(images) == len(list((tmp_path / "out" / "drawn").iterdir())) == 3 - broken
    assert f"Interrupted: {3 - broken} of 7 pictures" in capsys.readouterr().err


def test_drawings_of_an_earlier_call_are_not_searched(trained, mixed, tmp_path):
    drawn = mixed / "out" / "drawn"
    drawn.mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(drawn / "plain.jpg")
    paths, problems = detect.expand([mixed], drawn)
    assert len(paths) == 7 and problems == [] and drawn / "plain.jpg" not in paths
    assert detect.expand([drawn], drawn)[0] == [drawn / "plain.jpg"]  # but where they are asked for


def test_an_interrupted_run_says_how_to_go_on(trained, tmp_path, capsys, monkeypatch):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run", stop)
    (tmp_path / "my run").mkdir()
    for words in (("--out", tmp_path / "my run", "--resume"), ("--out", trained.out, "--resume")):
        assert command(train, *words) == 130
    first, second = (line for line in capsys.readouterr().err.splitlines() if line)
    assert first == "Interrupted. Nothing was trained yet." and second.endswith(f"--out {trained.out} --resume")


def test_figures_show_letters_of_any_script_without_a_warning(tmp_path, recwarn):
    report.add_fonts()
    fig = report.confusion_figure(torch.eye(2, dtype=torch.int64), ["猫"])
    report.save_figure(fig, tmp_path / "figure.png")
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
    assert in_terminal(Path("my run/best.pt")) == '"my run/best.pt"' and in_terminal(Path("a/b.pt")) == str(
        Path("a/b.pt")
    )


def test_the_readers_messages_name_options_of_the_command(tmp_path, capsys):
    own = write_voc(tmp_path / "own", {"train": pairs(3, 3, 1), "val": pairs(2, 3, 2)}, NAMES)
    picture = next((own / "JPEGImages").glob("train*"))
    picture.write_bytes(picture.read_bytes()[:50])
    assert command(train, "--data", own, "--out", tmp_path / "x") == 1
    told = capsys.readouterr().err
    assert "--damaged skip leaves these pictures out" in told and "COURSE_" not in told
    assert not (tmp_path / "x").exists()


def test_detect_uses_the_thresholds_of_the_checkpoint(trained, mixed, tmp_path):
    detector, content = stored_detector(trained.out / "best.pt")
    image = detect.open_picture(mixed / "plain.png")
    low = content | {"thresholds": [0.0, 2.0, 0.0]}
    save_checkpoint(tmp_path / "low.pt", low)
    some = ready(str(tmp_path / "low.pt")).detect([image])[0]
    assert len(some["labels"]) and 2 not in some["labels"].tolist()
    save_checkpoint(tmp_path / "none.pt", content | {"thresholds": [2.0] * 3})
    assert len(ready(str(tmp_path / "none.pt")).detect([image])[0]["labels"]) == 0


def test_wrong_weights_name_file_and_remedy(trained, mixed, tmp_path, capsys):
    whole = (trained.out / "best.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt").write_text("weights", encoding="utf-8")
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "foreign.pt")
    content = checkpoints.load_checkpoint(trained.out / "best.pt")
    save_checkpoint(tmp_path / "other.pt", content | {"settings": content["settings"] | {"model": "ssd"}})
    torch.save(pytest.approx, tmp_path / "code.pt")
    for name, remedy in (("cut", "it was cut short"), ("text", "does not begin like one"), ("foreign", "best.pt"), ("other", "do not fit"),
                         ("code", "it holds other things"), ("missing", "no such file")):  # fmt: skip
        assert command(detect, mixed, "--weights", tmp_path / f"{name}.pt", "--out", tmp_path / "out") == 2
        told = capsys.readouterr().err
        assert f"{name}.pt" in told and remedy in told and "Traceback" not in told, name


def test_wrong_arguments_are_explained(trained, tmp_path, capsys):
    own, out = trained.own, trained.out
    (tmp_path / "empty").mkdir()
    taken, few, blank = (tmp_path / name for name in ("taken", "few", "blank"))
    write_voc(few, {"train": pairs(3, 3, 1), "val": pairs(2, 3, 2)}, NAMES)
    write_voc(blank, {"train": pairs(3, 3, 1), "val": pairs(4, 3, 2)[3:]}, NAMES)
    taken.write_text("a file", encoding="utf-8")
    cases = [
        (train, (), 2, "--data"),
        (train, ("--data", own, "--size", "huge"), 2, "longer side"),
        (train, ("--data", own, "--anchors", "1,2"), 2, "five sides"),
        (train, ("--data", own, "--lr", "0"), 2, "above 0"),
        (train, ("--data", own, "--patience", "-1"), 2, "patience"),
        (train, ("--data", tmp_path / "nowhere", "--out", tmp_path / "x"), 1, "no such folder"),
        (train, ("--data", tmp_path / "empty", "--out", tmp_path / "x"), 1, "no annotations"),
        (train, ("--data", own, "--out", out), 1, "holds a run"),
        (train, ("--out", out, "--resume", "--epochs", "9"), 1, "--epochs 9, but this run has 2"),
        (train, ("--out", tmp_path / "x", "--resume"), 1, "no run to go on with"),
        (train, (own,), 2, f"--data {own}"),
        (train, ("--data", own, "--siez", "64"), 2, "not understood: --siez 64; did you mean --size?"),
        (train, ("--data", own, "--epochs", "two"), 2, "'two': give a whole number above 0"),
        (train, ("--data", own, "--anchors", "a,b"), 2, "five sides"),
        (train, ("--data", own, "--out", taken), 1, "is a file; give a folder as --out"),
        (train, ("--out", out, "--resume", "--size", "128"), 1, "--size 96x128, but this run has 64x64"),
        (train, ("--out", out, "--resume", "--freeze-norm"), 1, "--freeze-norm, but this run has it off"),
        (train, ("--data", few, "--out", tmp_path / "x", "--final-test"), 1, "no split list ImageSets/Main/test.txt"),
        (detect, (own, "--weights", out / "best.pt", "--out", taken), 2, "is a file; give a folder as --out"),
        (detect, (taken, "--weights", out / "best.pt", "--out", tmp_path / "y"), 2, "othing was searched"),
        (train, ("--data", own, "--size", "20"), 2, "at least 32"),
        (detect, (own, "--weights", out), 2, f"a folder; give the file in it: {out / 'best.pt'}"),
        (detect, (tmp_path / "empty", "--weights", out / "best.pt"), 2, "no pictures in this folder"),
        (detect, (tmp_path / "*.jpg", "--weights", out / "best.pt"), 2, "no file fits this pattern"),
        (detect, (own, "--weights", out / "best.pt", "--tresh", ".2"), 2, "--tresh .2; did you mean --threshold?"),
        (train, ("--data", blank, "--out", tmp_path / "x"), 1, "no picture of split 'val' has an object"),
        (detect, ("a.jpg", "--weights", out / "best.pt", "--threshold", "7"), 2, "between 0 and 1"),
        (detect, ("a.jpg",), 2, "--weights"),
    ]
    for module, words, code, told in cases:
        assert command(module, *words) == code, words
        assert told in capsys.readouterr().err, words


def test_weights_that_cannot_be_fetched_are_explained():
    def fail(**more):
        raise URLError("no network")

    with pytest.raises(WeightsError, match=r"no network.*https://x/y.pth.*checkpoints.*--start random"):
        fetch(SimpleNamespace(get_state_dict=fail, url="https://x/y.pth"), "--start random does without")


@pytest.mark.slow
def test_coco_weights_detect_as_torchvision_does(monkeypatch):
    """Random weights stand in for COCO's; sizes are small."""
    torch.manual_seed(0)
    theirs = retinanet_resnet50_fpn_v2(
        weights=None, weights_backbone=None, score_thresh=0.0, min_size=96, max_size=160
    ).eval()
    monkeypatch.setattr(checkpoints, "fetch", lambda weights: theirs.state_dict())
    monkeypatch.setattr(checkpoints, "SHORT", 96)
    monkeypatch.setattr(checkpoints, "LONG", 160)
    ours, image = ready("coco"), torch.rand(3, 60, 130)
    assert ours.class_names[0] == RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"][1] == "person"
    ours.thresholds, ours.detector.score_threshold = [0.0] * len(ours.class_names), 0.0
    (one,), (other,) = ours.detect([image]), theirs([image])
    scores = other["scores"][other["labels"] > 0]
    assert math.isclose(one["scores"][0], scores[0], rel_tol=1e-4)
    row = other["boxes"][other["labels"] > 0][0]
    assert torch.allclose(one["boxes"][0], row, atol=0.1)


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in train.OPTIONS])
def test_every_message_that_is_translated_for_a_terminal_exists(pattern):
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "course_lib" / "data").glob("*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # messages that go over several lines
    assert re.search(pattern, re.sub(r"\{[^{}]*\}", "x", source)), "the reader says it in other words now"
