"""The field's words: which terms each lesson must use, and which private words no lesson may fall back on."""

import re

from house.notebooks import Notebook, demand, each, lessons, make, markdown

WANTED = {
    1: "ground truth, bounding box, baseline, overfitting, backbone, prediction head, anchor, gradient clipping, weight decay,"
    " translation equivariant|translation equivariance, feature map",
    2: "anchor, backbone, ReLU gating, checkerboard, effective receptive field, feature map",
    3: "anchor, ground truth, prediction head, aspect ratio, translation equivariant|translation equivariance, feature map",
    4: "ground truth, anchor, positive, negative, ignored, intersection over union, best possible recall, imbalance",
    5: "ground truth, true positive, false positive, false negative, duplicate, precision, recall, mAP, overfitted|overfitting,"
    " prediction head, anchor, hard negative mining, score threshold, non-maximum suppression, imbalance, baseline",
    6: "focal loss, focusing parameter, cross-entropy, foreground–background imbalance, hard negative, prior, normaliser,"
    " base rate, anchor, score threshold, softplus",
    7: "feature pyramid, top-down path, lateral connection, upsampling, anchor, group normalisation, batch normalisation,"
    " ablation, fully convolutional, ground truth, receptive field, prior",
    8: "sliding window, region proposal, RoI align, two-stage, single-shot, anchor, default box, responsible, confidence,"
    " translation equivariant, non-maximum suppression|suppression, imbalance, Pareto front",
    9: "anchor, best possible recall, confusion matrix, data leakage, distribution shift, transfer learning, score threshold,"
    " precision, recall, false positive, false negative, overfitting, letterbox",
}
PRIVATE = re.compile(
    r"\b(mouths?|gates?|fools?|how-manieth|opens? doors?|ocean|deaf|swallows?|shouts?|claim [BC]\d+)\b"
)


def prose(notebook: Notebook) -> str:
    return "\n".join(cell.source for cell in notebook.prose)


def missing(notebook: Notebook, wanted: dict[int, str] = WANTED) -> list[str]:
    """Terms that a lesson does not use; `a|b` asks for one of the two."""
    text = prose(notebook)
    terms = [term.strip() for term in wanted.get(notebook.number, "").split(",") if term.strip()]
    return [
        f"{notebook.name}: the field's term {term!r} does not occur"
        for term in terms
        if not re.search(rf"\b({term})(s|ed)?\b", text, 0 if term == "mAP" else re.IGNORECASE)
    ]


def private(notebook: Notebook) -> list[str]:
    """Words of our own making where the field has a term."""
    return [f"{notebook.name}, cell {c.id}: {m[0]!r}" for c in notebook.prose for m in PRIVATE.finditer(c.source)]


@each(lessons())
def test_vocabulary(notebook):
    demand(missing(notebook) + private(notebook))


def test_the_rule_can_fail():
    bad = make("04_a.ipynb", markdown("Each map gets a mouth. It maps, and has positive anchors."))
    assert "mouth" in private(bad)[0]
    assert len(missing(bad)) == 6 and not any("anchor" in line or "'positive'" in line for line in missing(bad))
    assert missing(make("05_a.ipynb", markdown("we map")), {5: "mAP"}) and not missing(
        make("05_a.ipynb", markdown("the mAP")), {5: "mAP"}
    )
