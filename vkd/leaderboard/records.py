"""What a table is made of: runs, rows of runs, and gains, as records that read and write themselves as plain json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

#: what tells one row of a table from another
KEY = ('data', 'protocol', 'student', 'teacher', 'method')


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {k: v for k, v in content.items() if k in names}


@dataclass
class RunFacts:
    """A run as tables read it: what run.json says of it, how it ended, and its scores.

    ``folder`` and the four lines after it are of where it was read, and are not written.
    """

    run: str = ''
    seed: int | None = None
    state: str = 'missing'
    test: dict[str, Any] = field(default_factory=dict)
    # -- names; a table has those of a row's runs once, in the row
    data: str = ''
    protocol: str = ''
    student: str = ''
    teacher: str | None = None
    method: str = ''
    role: str = 'student'
    external: str | None = None
    # -- what it is an experiment of
    command: str | None = None
    config: str | None = None
    fingerprint: str | None = None
    experiment: str | None = None
    baseline: str | None = None  # fingerprint of what the student alone would be trained by; None of a run of an older version
    peer_baselines: dict[str, str] | None = None  # of peers, by role
    named_by: list[str] | None = None  # the names that come from the config's file name
    budget: float = 1.0  # of the student alone: how many times the iterations
    tuning: dict[str, Any] | None = None
    control: str | None = None
    part_of_method: list[str] | None = None
    max_iters: int | None = None
    batch_size: int | None = None
    processes: int | None = None
    synthetic_text: bool | None = None
    # -- where it comes from
    seconds: float | None = None
    git: dict[str, Any] | None = None
    versions: dict[str, Any] | None = None
    hardware: dict[str, Any] | None = None
    lines: list[str] = field(default_factory=list)
    teacher_checkpoint: str | None = None
    teacher_sha256: str | None = None
    data_sha256: dict[str, str | None] | None = None
    # -- scores beside those of the test set
    scores: dict[str, dict[str, Any]] | None = None  # what its metrics declare of them
    val: dict[str, Any] = field(default_factory=dict)
    corruptions: dict[str, Any] | None = None
    attacks: dict[str, Any] | None = None
    # -- where it was read
    folder: Path | None = None
    label: str | None = None  # of a peer: its name in the log
    network: str = 'student'  # the role whose scores these are
    roles: list[str] | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any], **more: Any) -> RunFacts:
        """Of a dict that may hold more; what is None and has a default takes it."""
        own = {k: v for k, v in {**_known(cls, content), **more}.items() if v is not None or k in ('seed', 'teacher')}
        return cls(**own)

    @property
    def done(self) -> bool:
        """Whether it was trained and tested to the end."""
        return self.state == 'done'

    @property
    def batch(self) -> int | None:
        """Images of a step, over all processes; None where it is not known."""
        return self.batch_size and self.batch_size * (self.processes or 1)

    def score(self, name: str) -> float | None:
        """The test score ``name``, where the run is done and has it as a number."""
        value = self.test.get(name)
        return value if self.done and isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def as_json(self) -> dict[str, Any]:
        """What leaderboard.json keeps: enough to work its row out again. The names stand in the row."""
        skipped = {*KEY, 'role', 'external', 'folder', 'label', 'network', 'roles', 'peer_baselines'}
        always = {'run', 'seed', 'state', 'test', 'val', 'lines', 'command', 'config', 'fingerprint', 'experiment'}
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        return {k: v for k, v in out.items() if k in always or v is not None and (k, v) != ('budget', 1.0)}


@dataclass
class Gain:
    """What a method adds to the student alone, or why that is not said.

    ``value`` is in the score's own unit (RMSE that falls has a negative one), ``half`` the half width of its interval. ``kind`` says how
    the interval was made, 'dunnett' or 'welch', and ``fallback`` why it is the second. ``by`` is 'config' where the baseline was found by
    its config, 'name' where runs of an older version left names alone. ``allowed`` lists differences that are the method's own.
    """

    value: float | None = None
    half: float | None = None
    withheld: str | None = None
    kind: str | None = None
    fallback: str | None = None
    by: str = 'config'
    baseline: int = 0  # runs of the student alone
    verdict: str | None = None  # what the interval says; None where it is withheld
    allowed: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Gain:
        """The gain that ``as_json`` gave; keys of later versions are left out."""
        return cls(**_known(cls, content))

    def as_json(self) -> dict[str, Any]:
        """A dict for json, without what is None or empty."""
        return {k: v for k, v in vars(self).items() if v not in (None, [])}


@dataclass
class Row:
    """One line of a table: the runs of one experiment, which differ in their seed alone."""

    data: str
    protocol: str
    student: str
    teacher: str | None
    method: str
    role: str = 'student'
    external: str | None = None
    variant: str | None = None  # tells it from another row of these names
    budget: float = 1.0
    control: str | None = None
    tuning: dict[str, Any] | None = None
    seeds: list[int | None] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    mean: float | None = None
    interval: float | None = None
    gain: Gain | None = None  # at equal iterations; None of a row that is compared with nothing
    equal_cost: Gain | None = None  # against the student alone trained for as much time
    fewer_trials: int | None = None  # trials of the baseline, where it had fewer than this row
    step: float | None = None  # time of a training step over the student alone's
    staged: bool = False
    extra: dict[str, float] = field(default_factory=dict)
    mAcc: float | None = None
    aAcc: float | None = None
    images: int | None = None
    params: float | None = None
    flops: float | None = None
    latency_ms: float | None = None
    shape: list[int] | None = None
    classes: list[str] = field(default_factory=list)
    per_class: list[float | None] = field(default_factory=list)
    synthetic_text: bool = False
    named_by: list[str] | None = None
    failed: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    runs: list[RunFacts] = field(default_factory=list)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Row:
        """Of leaderboard.json of this version, or of format 1, in which the gain lay flat."""
        own = _known(cls, content)
        for name in ('gain', 'equal_cost'):
            own[name] = Gain.from_json(own[name]) if isinstance(own.get(name), Mapping) else None
        names = {k: content.get(k) for k in (*KEY, 'role', 'external')}
        own['runs'] = [RunFacts.from_json(run, **names) for run in content.get('runs') or []]
        return cls(**own)

    @property
    def alone(self) -> bool:
        """Whether it is a student without methods."""
        return self.role == 'student' and self.method == 'alone'

    @property
    def compared(self) -> bool:
        """Whether its gain over the student alone is asked for."""
        return self.role == 'student' and self.method != 'alone'

    @property
    def done(self) -> list[RunFacts]:
        """Its runs that were trained and tested to the end."""
        return [run for run in self.runs if run.done]

    @property
    def first(self) -> RunFacts:
        """The first finished run, or the first where none is."""
        return next(iter(self.done), self.runs[0])

    @property
    def trials(self) -> int:
        """How many settings were tried for it."""
        return (self.tuning or {}).get('trials') or 0

    def as_json(self) -> dict[str, Any]:
        """A dict for json, runs and gains included."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out.update(runs=[run.as_json() for run in self.runs])
        out.update({name: gain and gain.as_json() for name, gain in (('gain', self.gain), ('equal_cost', self.equal_cost))})
        return out


@dataclass
class Panel:
    """What is said of all methods of one student on one protocol together."""

    data: str
    protocol: str
    student: str
    external: str | None = None
    residual_sd: float | None = None  # of the additive model, in the score's unit
    freedom: int | None = None
    unequal: float | None = None  # scatter of the student alone over that of its methods, where it is more than three times as much
    seed_correlation: float | None = None
    apart: list[tuple[str, str]] = field(default_factory=list)  # methods told apart from each other, the better first
    controls: list[tuple[str, str, bool | None]] = field(default_factory=list)  # (method, what must hold, whether it does)


@dataclass
class Table:
    """All rows of a page, in the order in which they are shown, and what is said of each student's together."""

    rows: list[Row]
    panels: list[Panel]
