"""Wrong and right answers to lesson 6's exercises."""

import math
from decimal import Decimal, localcontext

import numpy
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss
from trials import right, wrong

from course_lib.losses import focal_loss

# --- 6.2 asymmetric_loss -----------------------------------------------------------------------------------------


def _hot(logits, classes):
    """True where the answer should be yes, [M, n]."""
    return classes[:, None] == torch.arange(1, logits.shape[1] + 1, device=logits.device)


def _yes(z, gamma):
    return -(gamma * F.logsigmoid(-z)).exp() * F.logsigmoid(z)


def _no(z, gamma, margin):
    low = (z.sigmoid() - margin).clamp(min=1e-30)
    rest = F.logsigmoid(-z)
    if margin > 0:
        rest = (rest.exp() + margin).clamp(max=1).log()
    return -(low**gamma) * rest


def _both(logits, classes, yes, no):
    """Sum over the classes of `yes` and `no`, 0 where ignored."""
    return torch.where(_hot(logits, classes), yes, no).sum(dim=1).masked_fill(classes < 0, 0)


@right("6.2", "two cases of the margin")
def asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin):
    return _both(logits, classes, _yes(logits, gamma_positive), _no(logits, gamma_negative, margin))


@right("6.2", "log of a sum of two exponentials")
def asymmetric_logaddexp(logits, classes, gamma_positive, gamma_negative, margin):
    rest = -F.softplus(logits)
    shift = math.log(margin) if margin else -torch.inf
    kept = torch.logaddexp(rest, torch.full_like(rest, shift)).clamp(max=0)
    p = logits.sigmoid()
    counts = p > margin
    low = torch.where(counts, p - margin, torch.ones_like(p)) ** gamma_negative
    no = torch.where(counts, -low * kept, torch.zeros_like(p))
    yes = F.softplus(-logits) * torch.exp(-gamma_positive * F.softplus(logits))
    hot = F.one_hot(classes.clamp(min=0), logits.shape[1] + 1)[:, 1:].to(logits)
    return (hot * yes + (1 - hot) * no).sum(dim=1) * (classes >= 0)


@right("6.2", "class by class")
def asymmetric_loop(logits, classes, gamma_positive, gamma_negative, margin):
    total = logits.sum(dim=1) * 0
    for c, column in enumerate(logits.unbind(dim=1), start=1):
        total = total + torch.where(classes == c, _yes(column, gamma_positive), _no(column, gamma_negative, margin))
    return torch.where(classes < 0, total * 0, total)


@wrong("6.2", "the lesson's focal loss, without alpha", says="gamma_negative, at the lowered probability")
def asymmetric_focal(logits, classes, gamma_positive, gamma_negative, margin):
    return focal_loss(logits, classes, gamma_positive, None)


@wrong("6.2", "the two gammas exchanged", says="focal loss with gamma_positive")
def asymmetric_exchanged(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, gamma_negative, gamma_positive, margin)


@wrong("6.2", "no margin", says="at the lowered probability")
def asymmetric_no_margin(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, gamma_positive, gamma_negative, 0.0)


@wrong("6.2", "the margin in the weight only", says="at the lowered probability")
def asymmetric_weight_only(logits, classes, gamma_positive, gamma_negative, margin):
    no = -((logits.sigmoid() - margin).clamp(min=1e-30) ** gamma_negative) * F.logsigmoid(-logits)
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "the margin in the logarithm only", says="at the lowered probability")
def asymmetric_log_only(logits, classes, gamma_positive, gamma_negative, margin):
    no = logits.sigmoid().clamp(min=1e-30) ** gamma_negative * _no(logits, 0.0, margin)
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "not clamped at 0", says="less than the margin")
def asymmetric_not_clamped(logits, classes, gamma_positive, gamma_negative, margin):
    p = logits.sigmoid()
    log = torch.logaddexp(F.logsigmoid(-logits), torch.full_like(p, margin).log())
    return _both(logits, classes, _yes(logits, gamma_positive), -((p - margin) ** gamma_negative) * log)


@wrong("6.2", "the yes is lowered as well", says="leave a yes alone")
def asymmetric_lowers_yes(logits, classes, gamma_positive, gamma_negative, margin):
    p = (logits.sigmoid() - margin).clamp(1e-6)
    return _both(logits, classes, -((1 - p) ** gamma_positive) * p.log(), _no(logits, gamma_negative, margin))


@wrong("6.2", "the margin is added to the probability", says="at the lowered probability")
def asymmetric_added(logits, classes, gamma_positive, gamma_negative, margin):
    p = (logits.sigmoid() + margin).clamp(max=1 - 1e-6)
    return _both(logits, classes, _yes(logits, gamma_positive), -(p**gamma_negative) * (1 - p).log())


@wrong("6.2", "logarithms of probabilities", says="should cost its whole logit")
def asymmetric_unstable(logits, classes, gamma_positive, gamma_negative, margin):
    p = logits.sigmoid()
    low = (p - margin).clamp(min=1e-30)
    yes = -((1 - p) ** gamma_positive) * p.log()
    return _both(logits, classes, yes, -(low**gamma_negative) * (1 - low).log())


@wrong("6.2", "as published: probabilities clamped before the logarithm", says="should cost its whole logit")
def asymmetric_published(logits, classes, gamma_positive, gamma_negative, margin):
    hot = _hot(logits, classes).to(logits)
    p = logits.sigmoid()
    no = (1 - p + margin).clamp(max=1)
    loss = hot * p.clamp(min=1e-8).log() + (1 - hot) * no.clamp(min=1e-8).log()
    weight = (1 - p * hot - no * (1 - hot)).clamp(min=1e-30) ** (gamma_positive * hot + gamma_negative * (1 - hot))
    return -(loss * weight).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("6.2", "the weight is detached", says="gradient should flow", only_behaviour=True)
def asymmetric_detached(logits, classes, gamma_positive, gamma_negative, margin):
    yes = (gamma_positive * F.logsigmoid(-logits)).exp().detach() * F.softplus(-logits)
    low = (logits.sigmoid() - margin).clamp(min=1e-30).detach() ** gamma_negative
    return _both(logits, classes, yes, low * _no(logits, 0.0, margin))


@wrong("6.2", "a root of a negative number behind torch.where", says="gradient", only_behaviour=True)
def asymmetric_root(logits, classes, gamma_positive, gamma_negative, margin):
    p = logits.sigmoid()
    rest = torch.logaddexp(F.logsigmoid(-logits), torch.full_like(p, margin).log())
    no = torch.where(p > margin, -((p - margin) ** gamma_negative) * rest, torch.zeros_like(p))
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "ln p_m of nothing, times gamma 0", says="whatever gamma_negative")
def asymmetric_zero_gamma(logits, classes, gamma_positive, gamma_negative, margin):
    low = (logits.sigmoid() - margin).clamp(min=0)
    weight = (gamma_negative * low.log()).exp()
    return _both(logits, classes, _yes(logits, gamma_positive), weight * _no(logits, 0.0, margin))


@wrong("6.2", "ignored boxes pay as background", says="ignored box")
def asymmetric_ignored(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes.clamp(min=0), gamma_positive, gamma_negative, margin)


@wrong("6.2", "background is left out", says="cost its focal loss with gamma_negative")
def asymmetric_no_background(logits, classes, gamma_positive, gamma_negative, margin):
    costs = asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin)
    return torch.where(classes == 0, costs * 0, costs)


@wrong("6.2", "label c in channel c", says="focal loss with gamma_positive")
def asymmetric_channel(logits, classes, gamma_positive, gamma_negative, margin):
    hot = (classes[:, None] == torch.arange(logits.shape[1], device=logits.device)) & (classes[:, None] > 0)
    costs = torch.where(hot, _yes(logits, gamma_positive), _no(logits, gamma_negative, margin)).sum(dim=1)
    return torch.where(classes < 0, costs * 0, costs)


@wrong("6.2", "mean over the classes", says="added up")
def asymmetric_mean(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin) / logits.shape[1]


@wrong("6.2", "one number for the batch", says="pay for itself")
def asymmetric_summed(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin).sum()[None]


@wrong("6.2", "zeros of the right shape", says="focal loss with gamma_positive")
def asymmetric_zeros(logits, classes, gamma_positive, gamma_negative, margin):
    return (logits * 0).sum(dim=1)


@wrong("6.2", "classes changed in place", says="input should stay", only_behaviour=True)
def asymmetric_in_place(logits, classes, gamma_positive, gamma_negative, margin):
    result = asymmetric_cases(logits, classes.clone(), gamma_positive, gamma_negative, margin)
    classes.clamp_(min=0)
    return result


@right("6.2", "output by output")
def asymmetric_numbers(logits, classes, gamma_positive, gamma_negative, margin):
    costs = [logits.new_zeros(0)]
    for row, c in zip(logits, classes.tolist(), strict=True):
        total = row.sum() * 0
        for channel, z in enumerate(row if c >= 0 else [], start=1):
            if channel == c:
                total = total + (-gamma_positive * F.softplus(z)).exp() * F.softplus(-z)
            elif margin == 0:
                total = total + (-gamma_negative * F.softplus(-z)).exp() * F.softplus(z)
            elif z.sigmoid() > margin:
                total = total - (z.sigmoid() - margin) ** gamma_negative * (torch.sigmoid(-z) + margin).log()
        costs.append(total[None])
    return torch.cat(costs)


@right("6.2", "two lists of places, scattered back")
def asymmetric_scattered(logits, classes, gamma_positive, gamma_negative, margin):
    hot, asked = _hot(logits, classes), (classes >= 0)[:, None]
    up, down = hot & asked, ~hot & asked & (logits.sigmoid() > margin)
    z, log_no = logits[down], -F.softplus(logits[down])
    if margin == 0:
        cost = -(-gamma_negative * F.softplus(-z)).exp() * log_no
    else:
        cost = -((z.sigmoid() - margin) ** gamma_negative) * torch.log(log_no.exp() + margin)
    table = torch.zeros_like(logits).masked_scatter(down, cost)
    return torch.einsum("mn->m", table.masked_scatter(up, _yes(logits[up], gamma_positive)))


@right("6.2", "double precision inside")
def asymmetric_double(logits, classes, gamma_positive, gamma_negative, margin):
    z = logits.double()
    yes = F.softplus(-z) * torch.exp(-gamma_positive * F.softplus(z))
    room = torch.stack([-F.softplus(z), torch.full_like(z, math.log(margin) if margin else -torch.inf)])
    no = -torch.logsumexp(room, 0).clamp(max=0) * (z.sigmoid() - margin).clamp(min=1e-100) ** gamma_negative
    return torch.where(classes < 0, 0.0, (no + _hot(logits, classes) * (yes - no)).sum(dim=1)).to(logits.dtype)


@wrong("6.2", "the lowered probability stretched to 1 again", says="at the lowered probability")
def asymmetric_stretched(logits, classes, gamma_positive, gamma_negative, margin):
    no = _no(logits, gamma_negative, margin) / (1 - margin) ** gamma_negative
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "the margin taken off the logit", says="at the lowered probability")
def asymmetric_logit_margin(logits, classes, gamma_positive, gamma_negative, margin):
    return _both(logits, classes, _yes(logits, gamma_positive), _no(logits - margin, gamma_negative, 0.0))


@wrong("6.2", "below the margin p itself", says="a no with less than the margin should cost 0")
def asymmetric_below(logits, classes, gamma_positive, gamma_negative, margin):
    no = torch.where(logits.sigmoid() > margin, _no(logits, gamma_negative, margin), _no(logits, gamma_negative, 0.0))
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "a margin below a hundredth is none", says="a small margin should count")
def asymmetric_hundredth(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin if margin > 0.01 else 0.0)


@wrong("6.2", "with gamma 0 no margin", says="whatever gamma_negative")
def asymmetric_gamma_zero(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin if gamma_negative else 0.0)


@wrong("6.2", "the lowered probability in the weight of a yes", says="costs of all classes should be added up")
def asymmetric_lowers_yes_weight(logits, classes, gamma_positive, gamma_negative, margin):
    yes = (1 - (logits.sigmoid() - margin).clamp(min=1e-30)) ** gamma_positive * F.softplus(-logits)
    return _both(logits, classes, yes, _no(logits, gamma_negative, margin))


@wrong("6.2", "whole gammas", says="gammas need not be whole numbers")
def asymmetric_whole(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits, classes, int(gamma_positive), int(gamma_negative), margin)


@wrong("6.2", "probabilities clamped at a millionth", says="should cost its whole logit")
def asymmetric_clamped(logits, classes, gamma_positive, gamma_negative, margin):
    p = logits.sigmoid().clamp(1e-6, 1 - 1e-6)
    low = (p - margin).clamp(min=1e-30)
    yes = -((1 - p) ** gamma_positive) * p.log()
    return _both(logits, classes, yes, -(low**gamma_negative) * (1 - low).log())


@wrong("6.2", "logits stopped at 88", says="should cost its whole logit")
def asymmetric_stopped(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits.clamp(-88, 88), classes, gamma_positive, gamma_negative, margin)


@wrong("6.2", "the weight of a yes is detached", says="gradient should flow", only_behaviour=True)
def asymmetric_yes_detached(logits, classes, gamma_positive, gamma_negative, margin):
    yes = (-gamma_positive * F.softplus(logits)).exp().detach() * F.softplus(-logits)
    return _both(logits, classes, yes, _no(logits, gamma_negative, margin))


@wrong("6.2", "the weight of a no is detached", says="gradient should flow", only_behaviour=True)
def asymmetric_no_detached(logits, classes, gamma_positive, gamma_negative, margin):
    low = (logits.sigmoid() - margin).clamp(min=1e-30).detach() ** gamma_negative
    return _both(logits, classes, _yes(logits, gamma_positive), low * _no(logits, 0.0, margin))


@wrong("6.2", "the weight of a yes from a rounded difference", says="gradient is nan", only_behaviour=True)
def asymmetric_rounded(logits, classes, gamma_positive, gamma_negative, margin):
    yes = (1 - logits.sigmoid()) ** gamma_positive * F.softplus(-logits)
    return _both(logits, classes, yes, _no(logits, gamma_negative, margin))


@wrong("6.2", "divided by the number of positive boxes", says="pay for itself")
def asymmetric_per_positive(logits, classes, gamma_positive, gamma_negative, margin):
    costs = asymmetric_cases(logits, classes, gamma_positive, gamma_negative, margin)
    return costs / (classes > 0).sum().clamp(min=1)


# --- 6.3 shipped_focal_loss --------------------------------------------------------------------------------------


def _shipped(logits, answers, gamma, alpha, *, clamp=None, detach=False, swapped=False):
    """The shipped loss with each of its faults as a choice; clamp None: from logits."""
    z = torch.where(answers == 1, logits, -logits)
    if clamp is None:
        log_right, weight = F.logsigmoid(z), (gamma * F.logsigmoid(-z)).exp()
    else:
        p = z.sigmoid().clamp(clamp, 1 - clamp)
        log_right, weight = p.log(), (1 - p) ** gamma
    if detach:
        weight = weight.detach()
    share = torch.where(answers == 1, 1 - alpha, alpha) if swapped else torch.where(answers == 1, alpha, 1 - alpha)
    return (-weight * share * log_right).masked_fill(answers < 0, 0)


@right("6.3", "turned logits")
def shipped_turned(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha)


@right("6.3", "the lesson's loss, each question as a box with one class")
def shipped_one_class(logits, answers, gamma, alpha):
    return focal_loss(logits[..., None], answers, gamma, alpha)


@right("6.3", "by softplus and one-hot arithmetic")
def shipped_softplus(logits, answers, gamma, alpha):
    yes, asked = (answers == 1).to(logits), (answers >= 0).to(logits)
    missed = F.softplus(-logits) * torch.exp(-gamma * F.softplus(logits))
    alarm = F.softplus(logits) * torch.exp(-gamma * F.softplus(-logits))
    return asked * (alpha * yes * missed + (1 - alpha) * (1 - yes) * alarm)


@right("6.3", "PyTorch's cross-entropy, weight from its own value")
def shipped_pytorch(logits, answers, gamma, alpha):
    yes = (answers == 1).to(logits)
    cost = F.binary_cross_entropy_with_logits(logits, yes, reduction="none")
    turned = torch.where(answers == 1, -logits, logits)
    weight = torch.exp(gamma * (turned - cost))
    return torch.where(answers == -1, torch.zeros_like(cost), (alpha * yes + (1 - alpha) * (1 - yes)) * weight * cost)


@wrong("6.3", "still clamped", says="all it is wrong by")
def shipped_clamped(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, clamp=1e-4)


@wrong("6.3", "still detached", says="gradient should flow", only_behaviour=True)
def shipped_detached(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, detach=True)


@wrong("6.3", "alpha still on the wrong side", says="alpha should weigh the yes")
def shipped_swapped(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, swapped=True)


@wrong("6.3", "only alpha mended", says="all it is wrong by")
def shipped_only_alpha(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, clamp=1e-4, detach=True)


@wrong("6.3", "only the detached weight mended", says="all it is wrong by")
def shipped_only_weight(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, clamp=1e-4, swapped=True)


@wrong("6.3", "only the clamp mended", says="alpha should weigh the yes")
def shipped_only_clamp(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, detach=True, swapped=True)


@wrong("6.3", "clamped a thousand times later", says="all it is wrong by")
def shipped_smaller_clamp(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, clamp=1e-7)


@wrong("6.3", "the clamp removed, logarithms of probabilities", says="all it is wrong by")
def shipped_unclamped(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha, clamp=0.0)


@wrong("6.3", "a small number added before the logarithm", says="all it is wrong by")
def shipped_epsilon(logits, answers, gamma, alpha):
    p = torch.where(answers == 1, logits, -logits).sigmoid()
    share = torch.where(answers == 1, alpha, 1 - alpha)
    return (-share * (1 - p) ** gamma * (p + 1e-8).log()).masked_fill(answers < 0, 0)


@wrong(
    "6.3", "the weight from rounded probabilities: an infinite slope at gamma 0.5", says="gradient", only_behaviour=True
)
def shipped_root(logits, answers, gamma, alpha):
    log_right = F.logsigmoid(torch.where(answers == 1, logits, -logits))
    share = torch.where(answers == 1, alpha, 1 - alpha)
    return torch.where(answers < 0, 0.0, -share * (1 - log_right.exp()) ** gamma * log_right)


@wrong("6.3", "torchvision's focal loss", says="gradient", only_behaviour=True)
def shipped_torchvision(logits, answers, gamma, alpha):
    costs = sigmoid_focal_loss(logits, (answers == 1).to(logits), alpha, gamma)
    return torch.where(answers < 0, 0.0, costs)


@wrong("6.3", "alpha on both sides", says="alpha should weigh the yes")
def shipped_alpha_twice(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, 0.5) * 2 * alpha


@wrong("6.3", "alpha left out", says="weight times −ln p")
def shipped_no_alpha(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, 0.5) * 2


@wrong("6.3", "the weight is p^gamma", says="weight times −ln p")
def shipped_easy_weight(logits, answers, gamma, alpha):
    z = torch.where(answers == 1, logits, -logits)
    share = torch.where(answers == 1, alpha, 1 - alpha)
    return (-share * (gamma * F.logsigmoid(z)).exp() * F.logsigmoid(z)).masked_fill(answers < 0, 0)


@wrong("6.3", "questions that are not asked pay as a no", says="not asked")
def shipped_asked(logits, answers, gamma, alpha):
    return _shipped(logits, answers.clamp(min=0), gamma, alpha)


@wrong("6.3", "summed over the classes", says="weight times −ln p")
def shipped_summed(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha).sum(dim=1)


@wrong("6.3", "answers changed in place", says="input should stay", only_behaviour=True)
def shipped_in_place(logits, answers, gamma, alpha):
    result = _shipped(logits, answers.clone(), gamma, alpha)
    answers.clamp_(min=0)
    return result


@right("6.3", "by signs")
def shipped_signs(logits, answers, gamma, alpha):
    sign = 2.0 * (answers == 1) - 1
    turned = sign * logits
    share = 0.5 + (alpha - 0.5) * sign
    return (answers >= 0) * share * torch.exp(-gamma * F.softplus(turned)) * F.softplus(-turned)


@right("6.3", "question by question")
def shipped_loop(logits, answers, gamma, alpha):
    out = []
    for z, answer in zip(logits.flatten(), answers.flatten().tolist(), strict=True):
        share, turned = (alpha, -z) if answer == 1 else (1 - alpha, z)
        cost = torch.logaddexp(torch.zeros_like(z), turned)
        out.append(share * torch.exp(gamma * (turned - cost)) * cost if answer >= 0 else z * 0)
    return torch.stack(out).reshape(logits.shape) if out else logits * 1


@right("6.3", "only the questions that are asked")
def shipped_only_asked(logits, answers, gamma, alpha):
    asked = answers >= 0
    z, y = logits[asked], answers[asked].to(logits.dtype)
    cost, back = (F.binary_cross_entropy_with_logits(z, t, reduction="none") for t in (y, 1 - y))
    weighed = (y * alpha + (1 - y) * (1 - alpha)) * torch.exp(-gamma * back) * cost
    return torch.zeros_like(logits).masked_scatter(asked, weighed)


@wrong("6.3", "one question that is not asked silences the box", says="and a class that is not asked")
def shipped_silenced(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha) * (answers >= 0).all(dim=1, keepdim=True)


@wrong("6.3", "one class a box", says="a box may have a yes for two classes")
def shipped_one_yes(logits, answers, gamma, alpha):
    first = (answers == 1) & ((answers == 1).cumsum(dim=1) == 1)
    return _shipped(logits, torch.where((answers == 1) & ~first, 0, answers), gamma, alpha)


@wrong("6.3", "answers multiplied in, -1 among them", says="not asked should cost 0")
def shipped_multiplied(logits, answers, gamma, alpha):
    y = answers.to(logits)
    yes, no = _shipped(logits, torch.ones_like(answers), gamma, alpha), _shipped(logits, answers * 0, gamma, alpha)
    return y * yes + (1 - y) * no


@wrong("6.3", "with gamma 0 no alpha", says="alpha should weigh the yes")
def shipped_no_gamma(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha) if gamma else 2 * _shipped(logits, answers, 0, 0.5)


@wrong("6.3", "alpha weighs the yes, nothing the no", says="alpha should weigh the yes, 1 − alpha the no")
def shipped_yes_weighed(logits, answers, gamma, alpha):
    return torch.where(answers == 1, _shipped(logits, answers, gamma, alpha), 2 * _shipped(logits, answers, gamma, 0.5))


@wrong("6.3", "whole gammas", says="gamma need not be a whole number")
def shipped_whole(logits, answers, gamma, alpha):
    return _shipped(logits, answers, round(gamma), alpha)


@wrong("6.3", "divided by the number of yes", says="a box may have a yes for two classes")
def shipped_per_yes(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha) / (answers == 1).sum().clamp(min=1)


@wrong("6.3", "divided by the number of questions", says="yours gives")
def shipped_per_question(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha) / (answers >= 0).sum().clamp(min=1)


@wrong("6.3", "logits stopped at 80", says="all it is wrong by")
def shipped_stopped(logits, answers, gamma, alpha):
    return _shipped(logits.clamp(-80, 80), answers, gamma, alpha)


@wrong("6.3", "a cost of 100 at most", says="strong answers should stay finite")
def shipped_capped(logits, answers, gamma, alpha):
    return _shipped(logits, answers, gamma, alpha).clamp(max=100)


@wrong("6.3", "clamped in the weight only", says="all it is wrong by")
def shipped_clamped_weight(logits, answers, gamma, alpha):
    z = torch.where(answers == 1, logits, -logits)
    weight = (1 - z.sigmoid().clamp(1e-4, 1 - 1e-4)) ** gamma
    return (weight * torch.where(answers == 1, alpha, 1 - alpha) * F.softplus(-z)).masked_fill(answers < 0, 0)


@wrong("6.3", "the weight never below a thousandth to the gamma", says="an easy answer should cost little")
def shipped_floor(logits, answers, gamma, alpha):
    z = torch.where(answers == 1, logits, -logits)
    weight = torch.sigmoid(-z).clamp(min=1e-3) ** gamma
    return (weight * torch.where(answers == 1, alpha, 1 - alpha) * F.softplus(-z)).masked_fill(answers < 0, 0)


@wrong("6.3", "detached where the answer is yes", says="gradient should flow", only_behaviour=True)
def shipped_yes_detached(logits, answers, gamma, alpha):
    detached = _shipped(logits, answers, gamma, alpha, detach=True)
    return torch.where(answers == 1, detached, _shipped(logits, answers, gamma, alpha))


@wrong("6.3", "detached where the answer is no", says="gradient should flow", only_behaviour=True)
def shipped_no_detached(logits, answers, gamma, alpha):
    detached = _shipped(logits, answers, gamma, alpha, detach=True)
    return torch.where(answers == 0, detached, _shipped(logits, answers, gamma, alpha))


# --- 6.4 balanced_prior ------------------------------------------------------------------------------------------


def _pulls(p, ratio, gamma, alpha):
    """(background's pull, objects' pull) at probability p."""
    no = p**gamma * (p - gamma * (1 - p) * math.log1p(-p))
    yes = (1 - p) ** gamma * (1 - p - gamma * p * math.log(p))
    return ratio * (1 - alpha) * no, alpha * yes


def _halve(ahead, low=0.0, high=1.0, times=80):
    """Where `ahead` turns from False to True between two numbers."""
    for _ in range(times):
        middle = (low + high) / 2
        low, high = (low, middle) if ahead(middle) else (middle, high)
    return (low + high) / 2


def _balance(ratio, gamma, alpha, pulls=_pulls, **options):
    def ahead(p):
        background, objects = pulls(p, ratio, gamma, alpha)
        return background > objects

    return _halve(ahead, **options)


@right("6.4", "the interval halved")
def prior_halved(ratio, gamma, alpha):
    return _balance(ratio, gamma, alpha)


@right("6.4", "the interval's logarithm halved, until it is small")
def prior_logarithm(ratio, gamma, alpha):
    low, high = math.log(1e-12), 0.0
    while high - low > 1e-14 * abs(low):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        background, objects = _pulls(math.exp(middle), ratio, gamma, alpha)
        if background < objects:
            low = middle
        else:
            high = middle
    return math.exp(low)


@right("6.4", "tensors of doubles, a thousand points at a time")
def prior_grid(ratio, gamma, alpha):
    low, high = 1e-12, 1 - 1e-12
    for _ in range(6):
        p = torch.linspace(low, high, 1001, dtype=torch.float64)
        no = p**gamma * (p - gamma * (1 - p) * torch.log1p(-p))
        yes = (1 - p) ** gamma * (1 - p - gamma * p * p.log())
        first = max(int((ratio * (1 - alpha) * no >= alpha * yes).double().argmax()), 1)
        low, high = p[first - 1].item(), p[first].item()
    return high


@right("6.4", "the gradient of the loss itself, on the logit")
def prior_autograd(ratio, gamma, alpha):
    def ahead(z):
        bias = torch.tensor([z, z], dtype=torch.float64, requires_grad=True)
        turned = bias * torch.tensor([1.0, -1.0], dtype=torch.float64)
        losses = -(gamma * F.logsigmoid(turned)).exp() * F.logsigmoid(-turned)
        (pull,) = torch.autograd.grad(losses.sum(), bias)
        return ratio * (1 - alpha) * pull[0] > -alpha * pull[1]

    return 1 / (1 + math.exp(-_halve(ahead, -30.0, 30.0, 60)))


@wrong("6.4", "the closed approximation", says="1 / (1 + ratio)")
def prior_closed(ratio, gamma, alpha):
    return (alpha / ((1 - alpha) * (gamma + 1) * ratio)) ** (1 / (gamma + 1))


@wrong("6.4", "cross-entropy's balance", says="alpha should weigh")
def prior_cross_entropy(ratio, gamma, alpha):
    return 1 / (1 + ratio)


@wrong("6.4", "cross-entropy's balance with alpha", says="weight's own pull")
def prior_only_alpha(ratio, gamma, alpha):
    return alpha / (alpha + (1 - alpha) * ratio)


@wrong("6.4", "alpha on the wrong side", says="alpha should weigh")
def prior_swapped(ratio, gamma, alpha):
    return _balance(ratio, gamma, 1 - alpha)


@wrong("6.4", "alpha left out", says="alpha should weigh")
def prior_no_alpha(ratio, gamma, alpha):
    return _balance(ratio, gamma, 0.5)


@wrong("6.4", "the ratio upside down", says="1 / (1 + ratio)")
def prior_upside_down(ratio, gamma, alpha):
    return _balance(1 / ratio, gamma, alpha)


@wrong("6.4", "the weight is taken as a constant", says="weight's own pull")
def prior_constant_weight(ratio, gamma, alpha):
    return _balance(ratio, gamma, alpha, lambda p, r, g, a: (r * (1 - a) * p**g * p, a * (1 - p) ** g * (1 - p)))


@wrong("6.4", "the losses are balanced, not their pulls", says="yours gives")
def prior_losses(ratio, gamma, alpha):
    return _balance(
        ratio,
        gamma,
        alpha,
        lambda p, r, g, a: (-r * (1 - a) * p**g * math.log1p(-p), -a * (1 - p) ** g * math.log(p)),
    )


@wrong("6.4", "a sign lost at the logarithm", says="yours gives")
def prior_sign(ratio, gamma, alpha):
    def pulls(p, r, g, a):
        no = p**g * (p + g * (1 - p) * math.log1p(-p))
        return r * (1 - a) * no, a * (1 - p) ** g * (1 - p + g * p * math.log(p))

    return _balance(ratio, gamma, alpha, pulls)


@wrong("6.4", "twenty halvings", says="yours gives")
def prior_twenty(ratio, gamma, alpha):
    return _balance(ratio, gamma, alpha, times=20)


@wrong("6.4", "halved until the interval is below a millionth", says="yours gives")
def prior_absolute(ratio, gamma, alpha):
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        background, objects = _pulls(middle, ratio, gamma, alpha)
        low, high = (low, middle) if background > objects else (middle, high)
    return middle


@wrong("6.4", "never above one half", says="above one half")
def prior_half(ratio, gamma, alpha):
    return _balance(ratio, gamma, alpha, high=0.5 + 1e-12)


@wrong("6.4", "never below a millionth", says="tiny prior")
def prior_millionth(ratio, gamma, alpha):
    return _balance(ratio, gamma, alpha, low=1e-6)


@wrong("6.4", "gamma rounded", says="whole number")
def prior_whole(ratio, gamma, alpha):
    return _balance(ratio, int(gamma), alpha)


@wrong("6.4", "the bias in place of the prior", says="1 / (1 + ratio)")
def prior_bias(ratio, gamma, alpha):
    p = _balance(ratio, gamma, alpha)
    return math.log(p / (1 - p))


@wrong("6.4", "the other side's probability", says="1 / (1 + ratio)")
def prior_other_side(ratio, gamma, alpha):
    return 1 - _balance(ratio, gamma, alpha)


@wrong("6.4", "the paper's prior", says="1 / (1 + ratio)")
def prior_paper(ratio, gamma, alpha):
    return 0.01


@wrong("6.4", "single precision", says="yours gives")
def prior_single(ratio, gamma, alpha):
    def pulls(p, r, g, a):
        p = torch.tensor(p, dtype=torch.float32)
        no = p**g * (p - g * (1 - p) * (1 - p).log())
        return r * (1 - a) * no, a * (1 - p) ** g * (1 - p - g * p * p.log())

    return _balance(ratio, gamma, alpha, pulls)


@wrong("6.4", "printed and not returned", says="should be a float")
def prior_printed(ratio, gamma, alpha):
    print(_balance(ratio, gamma, alpha))


@right("6.4", "the bias halved")
def prior_bias_halved(ratio, gamma, alpha):
    def ahead(b):
        log_p, log_q = -math.log1p(math.exp(-b)), -math.log1p(math.exp(b))
        p, q = math.exp(log_p), math.exp(log_q)
        up = math.log(alpha) + gamma * log_q + math.log(q - gamma * p * log_p)
        return math.log(ratio * (1 - alpha)) + gamma * log_p + math.log(p - gamma * q * log_q) > up

    return 1 / (1 + math.exp(-_halve(ahead, -40.0, 40.0)))


@right("6.4", "forty decimals")
def prior_decimals(ratio, gamma, alpha):
    r, g, a = Decimal(ratio), Decimal(gamma), Decimal(alpha)

    def ahead(p):
        q = 1 - p
        return r * (1 - a) * p**g * (p - g * q * q.ln()) > a * q**g * (q - g * p * p.ln())

    with localcontext(prec=40):
        return float(_halve(ahead, Decimal(0), Decimal(1), 50))


@right("6.4", "numpy, a finer and finer table of biases")
def prior_tables(ratio, gamma, alpha):
    low, high = -45.0, 45.0
    for _ in range(12):
        b = numpy.linspace(low, high, 21)
        log_p, log_q = -numpy.logaddexp(0, -b), -numpy.logaddexp(0, b)
        p, q = numpy.exp(log_p), numpy.exp(log_q)
        down = numpy.log(ratio * (1 - alpha)) + gamma * log_p + numpy.log(p - gamma * q * log_q)
        up = numpy.log(alpha) + gamma * log_q + numpy.log(q - gamma * p * log_p)
        first = int((down < up).sum())
        low, high = b[first - 1], b[first]
    return float(1 / (1 + numpy.exp(-(low + high) / 2)))


@wrong("6.4", "rounded to ten digits", says="tiny prior should be precise")
def prior_ten_digits(ratio, gamma, alpha):
    return round(_balance(ratio, gamma, alpha), 10)


@wrong("6.4", "forty halvings", says="tiny prior should be precise")
def prior_forty(ratio, gamma, alpha):
    return _balance(ratio, gamma, alpha, times=40)


@wrong("6.4", "until the pulls agree to a millionth", says="yours gives")
def prior_agree(ratio, gamma, alpha):
    low, high = 0.0, 1.0
    for _ in range(100):
        p = (low + high) / 2
        background, objects = _pulls(p, ratio, gamma, alpha)
        if abs(background - objects) < 1e-6:
            break
        low, high = (low, p) if background > objects else (p, high)
    return p


@wrong("6.4", "the best of fifty thousand", says="yours gives")
def prior_best_of_many(ratio, gamma, alpha):
    p = numpy.geomspace(1e-8, 1 - 1e-8, 50_000)
    down = ratio * (1 - alpha) * p**gamma * (p - gamma * (1 - p) * numpy.log1p(-p))
    up = alpha * (1 - p) ** gamma * (1 - p - gamma * p * numpy.log(p))
    return float(p[numpy.abs(numpy.log(down / up)).argmin()])


@wrong("6.4", "five steps of Newton", says="yours gives")
def prior_newton(ratio, gamma, alpha):
    def ahead(p):
        background, objects = _pulls(p, ratio, gamma, alpha)
        return background - objects

    p = 0.01
    for _ in range(5):
        slope = (ahead(p * 1.0001) - ahead(p)) / (p * 0.0001)
        p = min(max(p - ahead(p) / slope, 1e-9), 1 - 1e-9)
    return p


@wrong("6.4", "the ratio of all to the objects", says="1 / (1 + ratio)")
def prior_ratio_of_all(ratio, gamma, alpha):
    return _balance(ratio + 1, gamma, alpha)


@wrong("6.4", "the ratio cut to a whole number", says="the ratio need not be a whole number")
def prior_whole_ratio(ratio, gamma, alpha):
    return _balance(max(int(ratio), 0.1), gamma, alpha)


@wrong("6.4", "1 - p taken as 1", says="1 / (1 + ratio)")
def prior_small(ratio, gamma, alpha):
    return _balance(
        ratio, gamma, alpha, lambda p, r, g, a: (r * (1 - a) * p**g * (1 + g) * p, a * (1 - g * p * math.log(p)))
    )


@wrong("6.4", "gamma forgotten in the second bracket", says="two equal parties")
def prior_bracket(ratio, gamma, alpha):
    def pulls(p, r, g, a):
        second = (1 - p) - p * math.log(p) if g else 1 - p
        return _pulls(p, r, g, a)[0], a * (1 - p) ** g * second

    return _balance(ratio, gamma, alpha, pulls)


@wrong("6.4", "logarithms to the base 10", says="weight's own pull")
def prior_base_ten(ratio, gamma, alpha):
    def pulls(p, r, g, a):
        no = p**g * (p - g * (1 - p) * math.log10(1 - p))
        return r * (1 - a) * no, a * (1 - p) ** g * (1 - p - g * p * math.log10(p))

    return _balance(ratio, gamma, alpha, pulls)


@wrong("6.4", "alpha for the objects only", says="alpha should weigh the objects, 1 − alpha the background")
def prior_alpha_once(ratio, gamma, alpha):
    return _balance(ratio / (1 - alpha) * 0.5, gamma, alpha)


@wrong("6.4", "a tensor", says="`.item()` makes a number of it")
def prior_tensor(ratio, gamma, alpha):
    return torch.tensor(_balance(ratio, gamma, alpha), dtype=torch.float64)


# --- 6.5 payers --------------------------------------------------------------------------------------------------


def _paid(losses):
    """What the k hardest pay, for k = 0 … M."""
    falling = losses.sort(descending=True).values
    return torch.cat([losses.new_zeros(1), falling.cumsum(dim=0)])


@right("6.5", "counting the sums that are too small")
def payers_count(losses, shares):
    paid = _paid(losses)
    return (paid < shares[:, None] * losses.sum()).sum(dim=1)


@right("6.5", "a loop over plain numbers")
def payers_loop(losses, shares):
    found = []
    for share in shares.tolist():
        rest, k = share * losses.double().sum().item(), 0
        for loss in losses.sort(descending=True).values.tolist():
            if rest <= 0:
                break
            rest, k = rest - loss, k + 1
        found.append(k)
    return torch.tensor(found, dtype=torch.int64, device=losses.device)


@right("6.5", "the first place of a table that is true")
def payers_table(losses, shares):
    paid = _paid(losses)
    enough = paid[None] >= shares[:, None] * paid[-1]
    return enough.int().argmax(dim=1)


@right("6.5", "all minus those who are not needed")
def payers_rest(losses, shares):
    rising = losses.sort().values.cumsum(dim=0)
    total = losses.sum()
    spared = rising <= (1 - shares)[:, None] * total
    return (len(losses) - spared.sum(dim=1)) * (shares > 0)


@wrong("6.5", "the easiest pay first", says="hardest box should pay first")
def payers_easiest(losses, shares):
    paid = torch.cat([losses.new_zeros(1), losses.sort().values.cumsum(dim=0)])
    return (paid < shares[:, None] * losses.sum()).sum(dim=1)


@wrong("6.5", "in the order of the list", says="hardest box should pay first")
def payers_unsorted(losses, shares):
    paid = torch.cat([losses.new_zeros(1), losses.cumsum(dim=0)])
    return (paid < shares[:, None] * losses.sum()).sum(dim=1)


@wrong("6.5", "always at least one", says="share 0")
def payers_at_least_one(losses, shares):
    return payers_count(losses, shares).clamp(min=1)


@wrong("6.5", "more than the share", says="share 0")
def payers_more(losses, shares):
    return (_paid(losses)[1:] <= shares[:, None] * losses.sum()).sum(dim=1) + 1


@wrong("6.5", "those that stay below the share", says="one box should pay all")
def payers_below(losses, shares):
    return (payers_count(losses, shares) - 1).clamp(min=0)


@wrong("6.5", "a share of the boxes", says="one box should pay all")
def payers_share_of_boxes(losses, shares):
    return (shares * len(losses)).round().long()


@wrong("6.5", "boxes above the share of the largest loss", says="yours gives")
def payers_largest(losses, shares):
    if len(losses) == 0:
        return torch.zeros_like(shares, dtype=torch.int64)
    return (losses >= (1 - shares)[:, None] * losses.max()).sum(dim=1)


@wrong("6.5", "what they pay in place of their number", says="should be int64")
def payers_cumulative(losses, shares):
    paid = _paid(losses)
    count = (paid < shares[:, None] * losses.sum()).sum(dim=1)
    return paid[count]


@wrong("6.5", "a fraction of the boxes", says="should be int64")
def payers_fraction(losses, shares):
    return payers_count(losses, shares) / max(len(losses), 1)


@wrong("6.5", "everybody for share 1", says="without a loss")
def payers_everybody(losses, shares):
    return torch.where(shares >= 1, torch.full_like(shares, len(losses)).long(), payers_count(losses, shares))


@wrong("6.5", "nobody pays: one is needed", says="where nobody pays")
def payers_nobody(losses, shares):
    count = payers_count(losses, shares)
    return count if losses.sum() > 0 else (shares > 0).long()


@wrong("6.5", "a small number in the divisor", says="tiny losses")
def payers_epsilon(losses, shares):
    if losses.sum() == 0:
        return torch.zeros_like(shares, dtype=torch.int64)
    share = _paid(losses) / (losses.sum() + 1e-8)
    return (share < shares[:, None] - 1e-6).sum(dim=1).clamp(max=len(losses))


@wrong("6.5", "crashes without boxes", says="without boxes")
def payers_crash(losses, shares):
    if losses.max() < 0:
        return torch.zeros_like(shares, dtype=torch.int64)
    return payers_count(losses, shares)


@wrong("6.5", "one share only", says="every share")
def payers_one_share(losses, shares):
    return payers_count(losses, shares[:1])


@wrong("6.5", "shares are expected to rise", says="every share")
def payers_rising(losses, shares):
    return payers_count(losses, shares.sort().values)


@wrong("6.5", "a list", says="tensor of shape")
def payers_list(losses, shares):
    return payers_count(losses, shares).tolist()


@wrong("6.5", "losses sorted in place", says="input should stay", only_behaviour=True)
def payers_in_place(losses, shares):
    result = payers_count(losses, shares)
    losses.copy_(losses.sort(descending=True).values)
    return result


@right("6.5", "torch.searchsorted")
def payers_searchsorted(losses, shares):
    paid = _paid(losses)
    return torch.searchsorted(paid, shares.to(paid) * paid[-1])


@right("6.5", "numpy, counting in a table")
def payers_numpy(losses, shares):
    falling = -numpy.sort(-losses.cpu().double().numpy())
    paid = numpy.cumsum(numpy.concatenate([[0.0], falling]))
    short = paid[None] < shares.cpu().double().numpy()[:, None] * paid[-1]
    return torch.from_numpy(short.sum(axis=1).astype(numpy.int64)).to(losses.device)


@right("6.5", "the hardest pays, the rest of the share stays open")
def payers_recursion(losses, shares):
    def need(left, still_open):
        return 0 if still_open <= 0 or not left else 1 + need(left[:-1], still_open - left[-1])

    rising = sorted(losses.tolist())
    numbers = [need(rising, share * math.fsum(rising)) for share in shares.tolist()]
    return torch.tensor(numbers, device=losses.device).long()


@wrong("6.5", "equally hard boxes pay together", says="two equal boxes should pay one half each")
def payers_together(losses, shares):
    count = payers_count(losses, shares)
    if len(losses) == 0:
        return count
    last = losses.sort(descending=True).values[(count - 1).clamp(min=0)]
    return torch.where(count > 0, (losses >= last[:, None]).sum(dim=1), 0)


@wrong("6.5", "the first place of a table in which nothing may be true", says="where nobody pays")
def payers_first_place(losses, shares):
    if len(losses) == 0:
        return torch.zeros(len(shares), dtype=torch.int64, device=losses.device)
    paid = losses.sort(descending=True).values.cumsum(dim=0)
    return torch.where(shares > 0, (paid >= (shares * paid[-1])[:, None]).int().argmax(dim=1) + 1, 0)


@wrong("6.5", "divided by a whole loss of 0", says="where nobody pays")
def payers_divided(losses, shares):
    paid = _paid(losses)
    return (~(paid / paid[-1] >= shares[:, None])).sum(dim=1)


@wrong("6.5", "losses rounded to whole numbers", says="tiny losses should count")
def payers_whole(losses, shares):
    return payers_count(losses.round(), shares)


@wrong("6.5", "losses below a millionth are none", says="tiny losses should count")
def payers_millionth(losses, shares):
    return payers_count(torch.where(losses < 1e-6, 0.0, losses), shares)


@wrong("6.5", "the number of boxes that comes nearest", says="one box should pay all")
def payers_nearest(losses, shares):
    paid = _paid(losses)
    return (paid - (shares * paid[-1])[:, None]).abs().argmin(dim=1)


@wrong("6.5", "the share of the hardest box is left out", says="one box should pay all")
def payers_without_hardest(losses, shares):
    return payers_count(losses.sort(descending=True).values[1:], shares)


@wrong("6.5", "those who pay more than an equal part", says="yours gives")
def payers_above_mean(losses, shares):
    above = (losses > losses.mean()).sum() if len(losses) else 0
    return (shares * above).ceil().long()


@wrong("6.5", "without boxes nothing for every share", says="should have shape [3]")
def payers_no_boxes(losses, shares):
    return payers_count(losses, shares) if len(losses) else torch.zeros(0, dtype=torch.int64, device=losses.device)


@wrong("6.5", "without boxes zeros with a point", says="should be int64")
def payers_empty_float(losses, shares):
    return payers_count(losses, shares) if len(losses) else torch.zeros(len(shares), device=losses.device)


@wrong("6.5", "without boxes on the CPU", says="device should be kept", only_behaviour=True)
def payers_empty_cpu(losses, shares):
    return payers_count(losses, shares) if len(losses) else torch.zeros(len(shares), dtype=torch.int64)


@wrong("6.5", "without shares a list without a type", says="should be int64")
def payers_untyped(losses, shares):
    return torch.tensor(payers_count(losses, shares).tolist(), device=losses.device)


@wrong("6.5", "int32", says="should be int64")
def payers_int32(losses, shares):
    return payers_count(losses, shares).int()


@wrong("6.5", "no axis of length 1", says="should have shape [1]")
def payers_squeezed(losses, shares):
    return payers_count(losses, shares).squeeze()


@wrong("6.3", "alpha of 0 taken for none at all", says="with alpha 0 only the no should cost")
def shipped_alpha_falsy(logits, answers, gamma, alpha):
    z = torch.where(answers == 1, logits, -logits)
    cost = -(gamma * F.logsigmoid(-z)).exp() * F.logsigmoid(z)
    if alpha:
        cost = cost * torch.where(answers == 1, alpha, 1 - alpha)
    return torch.where(answers >= 0, cost, 0.0)


# --- found by a white-box attack: nearly right, and far off where an answer is easy or a margin is tiny -----------------


@wrong("6.2", "easy weights cut off at 1e-3", says="an easy answer should cost little")
def asymmetric_cut_off(logits, classes, gamma_positive, gamma_negative, margin):
    low, high = F.logsigmoid(logits), F.logsigmoid(-logits)
    kept = torch.logaddexp(high, torch.full_like(logits, margin).log()).clamp(max=0)
    no = -((low.exp() - margin).clamp(min=1e-3) ** gamma_negative) * kept
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "the zeros below the margin hide their slope", says="the gradient", only_behaviour=True)
def asymmetric_hidden_slope(logits, classes, gamma_positive, gamma_negative, margin):
    no = _no(logits, gamma_negative, margin)
    no = torch.where(logits.sigmoid() <= margin, -F.logsigmoid(-logits), no)
    no.data[logits.sigmoid() <= margin] = 0
    return _both(logits, classes, _yes(logits, gamma_positive), no)


@wrong("6.2", "1 − p as a difference where there is a margin", says="with a tiny margin")
def asymmetric_difference(logits, classes, gamma_positive, gamma_negative, margin):
    low = (logits.sigmoid() - margin).clamp(min=1e-30)
    log = torch.log1p(-low) if margin > 0 else F.logsigmoid(-logits)
    return _both(logits, classes, _yes(logits, gamma_positive), -(low**gamma_negative) * log)


@wrong("6.3", "the clamp kept for the weight of a no", says="an easy answer should cost little")
def shipped_half_clamped(logits, answers, gamma, alpha):
    low, high = F.logsigmoid(logits), F.logsigmoid(-logits)
    yes = -alpha * (gamma * high).exp() * low
    no = -(1 - alpha) * logits.sigmoid().clamp(min=1e-4) ** gamma * high
    return torch.where(answers == 1, yes, torch.where(answers == 0, no, 0.0))


@wrong("6.3", "a new table is looked up with the answers", says="device", only_behaviour=True)
def shipped_looked_up(logits, answers, gamma, alpha):
    z = torch.where(answers == 1, logits, -logits)
    weight = torch.tensor([1 - alpha, alpha, 0.0], dtype=logits.dtype)[answers]
    return -weight * (gamma * F.logsigmoid(-z)).exp() * F.logsigmoid(z)


@wrong("6.5", "a tolerance against rounding", says="share 1 should need every box that pays")
def payers_tolerant(losses, shares):
    paid = torch.cat([losses.new_zeros(1), losses.sort(descending=True).values.cumsum(0)])
    return torch.searchsorted(paid, (shares * paid[-1] * (1 - 1e-6)).to(paid))


@wrong("6.2", "float32 inside, whatever goes in", says="float64 logits should be computed in float64")
def asymmetric_single(logits, classes, gamma_positive, gamma_negative, margin):
    return asymmetric_cases(logits.float(), classes, gamma_positive, gamma_negative, margin).to(logits.dtype)


@wrong("6.3", "float32 inside, whatever goes in", says="float64 logits should be computed in float64")
def shipped_single(logits, answers, gamma, alpha):
    return shipped_turned(logits.float(), answers, gamma, alpha).to(logits.dtype)
