"""How long a board takes: what each unit costs, what of it is done, and when the rest may be."""

import json
import pathlib
import re
import sys
import threading
import time

COSTS = pathlib.Path(__file__).parent / "costs.json"
COSTS_LOCK = threading.Lock()  # units run at the same time
FIELD = re.compile(rb'"(spec|build)":"((?:[^"\\]|\\.)*)"')
INDEX = re.compile(rb'"index":(\d+)')


def duration(seconds):
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


class ResultCount:
    """The samples of a growing result file that count for the run whose header came last."""

    def __init__(self, path, specs):
        self.path, self.specs = path, {spec.encode() for spec in specs}
        self.offset, self.build, self.seen = 0, None, set()

    def read(self, n_samples):
        """(spec, index) pairs done, of samples below n_samples; reads what is new in the file."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # still being written
                    self.offset += len(line)
                    self.note(line)
        return sum(1 for build, spec, index in self.seen
                   if build == self.build and spec in self.specs and index < n_samples)

    def note(self, line):
        if line.startswith(b'{"type":"run"'):
            self.build = json.loads(line)["build"].encode()
        elif line.startswith((b'{"type":"sample"', b'{"type":"failure"')):
            head = line[:4000]
            fields = dict(reversed(FIELD.findall(head)))  # the first of a name counts
            index = INDEX.search(head)
            self.seen.add((fields[b"build"], fields[b"spec"], int(index[1])))


class Part:
    def __init__(self, unit, samples, specs, seconds, count):
        self.unit, self.samples, self.total = unit, samples, samples * len(specs)
        self.seconds = seconds  # of one core, for all of it
        self.count, self.done = count, 0

    def look(self):
        self.done = min(self.total, self.count.read(self.samples))


class Plan:
    """The units of a run, which specs each model gets, and what it costs by costs.json: seconds of
    one core that a sample of all methods at all budgets takes on the machine named there."""

    def __init__(self, units, specs, samples_of, folder):
        known = json.loads(COSTS.read_text())
        self.machine, self.specs = known["machine"], specs
        middle = sorted(known["seconds"].values())[len(known["seconds"]) // 2]
        self.parts = []
        for unit in units:
            own, samples = specs[unit.model], samples_of(unit)
            seconds = known["seconds"].get(unit.name(), middle) * len(own) / known["specs"]
            self.parts.append(Part(unit, samples, own, samples * seconds,
                                   ResultCount(unit.file(folder), own)))
        self.look()

    def look(self):
        for part in self.parts:
            part.look()

    def seconds(self, done):
        """Of one core, by costs.json: what is done, or what is not."""
        return sum(part.seconds * (part.done if done else part.total - part.done) / part.total
                   for part in self.parts if part.total)

    def text(self, jobs):
        width = max(len(part.unit.name()) for part in self.parts)
        lines = [f"{'unit':<{width}}  samples  specs  minutes of a core  done"]
        lines += [f"{part.unit.name():<{width}}  {part.samples:>7}  "
                  f"{part.total // part.samples:>5}  "
                  f"{part.seconds / 60:>17.1f}  {100 * part.done // max(1, part.total):>3} %"
                  for part in self.parts]
        left = self.seconds(done=False)
        lines.append(f"left: {duration(left)} of one core, about {duration(left / jobs)} on {jobs} "
                     f"({self.machine})")
        return "\n".join(lines)


class Progress(threading.Thread):
    """Says on stderr how far a run is: a line that stays in place on a terminal, else one a minute.
    The time left goes by what this run itself has taken so far, once that says something."""

    def __init__(self, plan, jobs):
        super().__init__(daemon=True)
        self.plan, self.jobs = plan, jobs
        self.before, self.began = plan.seconds(done=True), time.monotonic()
        self.ended = threading.Event()

    def line(self):
        done, left = self.plan.seconds(done=True), self.plan.seconds(done=False)
        elapsed, made = time.monotonic() - self.began, done - self.before
        # Seconds of this machine for one of costs.json's, all jobs together.
        pace = elapsed / made if made > 0.02 * (done + left) else 1 / self.jobs
        share = done / (done + left) if done + left else 1
        bar = "#" * round(30 * share) + "." * (30 - round(30 * share))
        n_done = sum(part.done == part.total for part in self.plan.parts)
        return (f"board: [{bar}] {100 * share:.0f} %, {n_done} of {len(self.plan.parts)} units, "
                f"{duration(elapsed)} gone, about {duration(left * pace)} left")

    def run(self):
        on_terminal = sys.stderr.isatty()
        while not self.ended.wait(2 if on_terminal else 60):
            self.plan.look()
            print("\r" + self.line() if on_terminal else self.line(),
                  end=" " if on_terminal else "\n", file=sys.stderr, flush=True)

    def end(self):
        self.ended.set()
        self.join()
        self.plan.look()
        if sys.stderr.isatty():
            print(file=sys.stderr)


def note_costs(path, unit, n_specs, seconds, n_done):
    """Adds what a unit took to a file like costs.json, as seconds a sample of all specs."""
    with COSTS_LOCK:
        known = json.loads(path.read_text()) if path.exists() else {}
        if known.get("specs") != n_specs:
            known = {"specs": n_specs, "seconds": {}}
        known["seconds"][unit.name()] = round(seconds * n_specs / n_done, 1)
        path.write_text(json.dumps(known, indent=1) + "\n")
