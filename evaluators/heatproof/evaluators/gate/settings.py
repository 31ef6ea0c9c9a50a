"""What differs between a candidate and its baseline beside their scores."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from itertools import count
from typing import Any, Final

from heatproof.evaluators.gate.policy import (
    Check,
    CleanAccuracy,
    Evaluated,
    Policy,
    SettingChange,
)
from heatproof.evaluators.registry.registry import Registered

_WORDS: Final = "processor_features"
"""A setting of the environment that is a set of words."""

WAYS_RUN: Final = "ways_run"
"""A setting of the environment that changes no score: how many rows a run of a network took."""

_SUBJECT: Final = ("metric", "explainer", "removal")
"""Fields of a check that say what it bounds."""


def setting_changes(
    policy: Policy, candidate: Evaluated, baseline: Evaluated
) -> tuple[SettingChange, ...]:
    """What differs of what may: models, outputs, data sets, environments and the rules.

    Args:
        policy: the rules by which the candidate is judged.
        candidate: the evaluation of the model that is judged.
        baseline: what it is held against; the rules by which it was judged are told if known.
    """
    found = [*_changed(_facts(baseline), _facts(candidate)), *_environments(baseline, candidate)]
    judged_by = baseline.circumstances.policy
    if judged_by is not None:
        found += _rules_changed(judged_by, policy)
    return tuple(found)


def difference_of(candidate: object, baseline: object) -> str:
    """How two values of a field differ, for people; "" where the values say too much."""
    match candidate, baseline:
        case (tuple(), tuple()):
            return _named_apart(candidate, baseline)
        case (str() | int() | float(), str() | int() | float()):
            return f"{_text(baseline) or 'none'} → {_text(candidate) or 'none'}"
    if not is_dataclass(candidate) or type(candidate) is not type(baseline):
        return ""
    changes = _changed(_leaves(baseline), _leaves(candidate))
    return ", ".join(
        f"{one.setting} {one.baseline or 'none'} → {one.candidate or 'none'}" for one in changes
    )


def _named_apart(candidate: Iterable[Any], baseline: Iterable[Any]) -> str:
    """Names that only one of two lists of choices has."""
    mine = [one.name for one in candidate if isinstance(one, Registered)]
    theirs = [one.name for one in baseline if isinstance(one, Registered)]
    alone = [name for name in dict.fromkeys(mine) if name not in theirs]
    strange = [name for name in dict.fromkeys(theirs) if name not in mine]
    parts = [f"only in the candidate {', '.join(alone)}"] if alone else []
    parts += [f"only in the baseline {', '.join(strange)}"] if strange else []
    return "; ".join(parts)


def _facts(held: Evaluated) -> dict[str, str]:
    """What an evaluation is of."""
    told = {
        "evaluation": held.circumstances.evaluation,
        "model": held.model,
        "dataset": held.spec.dataset,
    }
    output = held.circumstances.class_output
    if output is not None:
        told |= {"output": output.output, "activation": output.activation}
    return told


def _environments(baseline: Evaluated, candidate: Evaluated) -> Iterator[SettingChange]:
    """What differs in what computed the scores."""
    theirs, mine = baseline.circumstances.environment, candidate.circumstances.environment
    for one in _changed(theirs, mine):
        if one.setting == WAYS_RUN:
            continue
        before, after = one.baseline, one.candidate
        if one.setting == _WORDS:
            before, after = _words_apart(before, after), _words_apart(after, before)
        yield SettingChange(f"environment.{one.setting}", before, after)


def _words_apart(mine: str, others: str) -> str:
    """The words that only one of two sets has."""
    known = set(others.split())
    return " ".join(word for word in mine.split() if word not in known)


def _rules_changed(before: Policy, after: Policy) -> Iterator[SettingChange]:
    """What differs in the rules, but for what the evaluation itself was asked."""
    for name in ("abs_tolerance", "min_images", "interval"):
        yield from _changed(
            {f"policy.{name}": _text(getattr(before, name))},
            {f"policy.{name}": _text(getattr(after, name))},
        )
    yield from _changed(_accuracy(before), _accuracy(after))
    theirs, mine = _by_subject(before.checks), _by_subject(after.checks)
    for subject, (place, check) in mine.items():
        path = f"policy.checks[{place}]"
        if subject in theirs:
            own, other = _bounds(check), _bounds(theirs[subject][1])
            yield from _changed(_below(path, other), _below(path, own))
        else:
            yield SettingChange(path, "", _sentence(check))
    for subject, (_, check) in theirs.items():
        if subject not in mine:
            yield SettingChange("policy.checks", _sentence(check), "")


def _by_subject(checks: Iterable[Check]) -> dict[Hashable, tuple[int, Check]]:
    """Checks with their places, by what they bound; those that bound the same in their order."""
    found: dict[Hashable, tuple[int, Check]] = {}
    for place, check in enumerate(checks):
        subject = tuple(getattr(check, name) for name in _SUBJECT)
        nth = next(n for n in count() if (*subject, n) not in found)
        found[*subject, nth] = place, check
    return found


def _bounds(check: Check) -> dict[str, str]:
    """Fields of a check but for what it bounds, as text."""
    names = [field.name for field in fields(check) if field.name not in _SUBJECT]
    return {name: _text(getattr(check, name)) for name in names}


def _sentence(check: Check) -> str:
    """A check in one line."""
    subject = (getattr(check, name) for name in _SUBJECT)
    told = [f"{name} {value}" for name, value in _bounds(check).items() if value]
    return f"{' '.join(one.name for one in subject if one)}: {', '.join(told)}"


def _accuracy(policy: Policy) -> dict[str, str]:
    held: CleanAccuracy | None = policy.clean_accuracy
    return {} if held is None else _below("policy.clean_accuracy", _leaves(held))


def _below(path: str, held: Mapping[str, str]) -> dict[str, str]:
    return {f"{path}.{name}": text for name, text in held.items()}


def _leaves(value: Any) -> dict[str, str]:  # noqa: ANN401  # any dataclass
    """Fields of a dataclass as text, by their path below it."""
    found: dict[str, str] = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if is_dataclass(item) and not isinstance(item, type):
            found |= _below(field.name, _leaves(item))
        else:
            found[field.name] = _text(item)
    return found


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case StrEnum():
            return value.value
        case tuple():
            return f"[{', '.join(map(_text, value))}]"
        case float():
            return f"{value:.6g}"
    return str(value)


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[SettingChange]:
    """What differs between two tables, in their order."""
    for name in dict.fromkeys((*before, *after)):
        told = before.get(name, ""), after.get(name, "")
        if told[0] != told[1]:
            yield SettingChange(name, *told)
