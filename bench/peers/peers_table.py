"""The comparison as Markdown: medians, the better variant of each engine, ratios and the floor."""

import re
import statistics

PREFILL_MIN = 512  # shorter prompts say little about prefill
BEGIN, END = "<!-- bench-peers begin -->", "<!-- bench-peers end -->"


def cells(report, n_threads):
    """{engine: {(quantity, length): value}}; speeds: the better variant's median; memory: the
    smaller variant's."""
    groups = {}
    for row in report["rows"]:
        if row["threads"] != n_threads or "error" in row:
            continue
        for quantity in ("prefill_tok_s", "decode_tok_s", "rss_peak_bytes"):
            key = (row["engine"], row["variant"], quantity, row["length"])
            groups.setdefault(key, []).append(row[quantity])
    best = {}
    for (engine, _, quantity, length), values in groups.items():
        column = best.setdefault(engine, {})
        value = statistics.median(values)
        better = min if quantity == "rss_peak_bytes" else max
        key = (quantity, length)
        column[key] = better(column[key], value) if key in column else value
    return best


def kv_bytes_per_token(report):
    sizes = [row["kv_bytes_per_token"] for row in report["rows"] if "kv_bytes_per_token" in row
             and row["engine"] == "llama.cpp"]  # pure arithmetic; Kvasir's count has page tables
    sizes = sizes or [row["kv_bytes_per_token"] for row in report["rows"]
                      if "kv_bytes_per_token" in row]
    return statistics.median(sizes) if sizes else 0


def bytes_per_token(report, length):
    """What a decode step at this depth reads: every weight and every cached byte once."""
    kv = kv_bytes_per_token(report) * (length + report["facts"]["gen"] / 2)
    return report["facts"]["model_bytes"] + kv


def bandwidth(report, n_threads, length):
    """Bytes a second over as many bytes as a step reads; the best, or 0 where it was not measured."""
    return max(report["bandwidth"].get(f"{n_threads}/{length}", [0]))


def floor(report, n_threads, length):
    """Decode tokens/s if nothing but reading took time."""
    return bandwidth(report, n_threads, length) / bytes_per_token(report, length)


def number(value, digits=0):
    return "" if value is None else f"{value:.{digits}f}"


def table(report, n_threads, lengths):
    best = cells(report, n_threads)
    columns = ([("prefill_tok_s", n) for n in lengths if n >= PREFILL_MIN]
               + [("decode_tok_s", n) for n in lengths if n != 512 or len(lengths) < 4]
               + [("rss_peak_bytes", n) for n in lengths if n != 512 or len(lengths) < 4])
    names = {"prefill_tok_s": "prefill", "decode_tok_s": "decode", "rss_peak_bytes": "MB"}
    lines = ["| | " + " | ".join(f"{names[q]} {n}" for q, n in columns) + " |",
             "| --- |" + " ---: |" * len(columns)]

    def line(name, values, digits):
        shown = [number(v, d) for v, d in zip(values, digits)]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")

    plain = [1 if q == "decode_tok_s" else 0 for q, _ in columns]
    for engine, found in best.items():
        values = [found.get(column) for column in columns]
        line(engine, [v / 1e6 if v and q == "rss_peak_bytes" else v
                      for v, (q, _) in zip(values, columns)], plain)
    floors = [floor(report, n_threads, n) if q == "decode_tok_s" else None for q, n in columns]
    line("floor of memory", floors, plain)
    ours = best.get("Kvasir", {})
    for engine, found in best.items():
        if engine != "Kvasir" and ours:
            line(f"**Kvasir / {engine}**",
                 [ours[c] / found[c] if c in ours and c in found else None for c in columns],
                 [2] * len(columns))
    if ours:
        line("**Kvasir / floor**",
             [ours[c] / f if f and c in ours else None for c, f in zip(columns, floors)],
             [2] * len(columns))
    return lines


def markdown(report):
    facts = report["facts"]
    versions = {row["engine"]: row["version"] for row in report["rows"] if "version" in row}
    lines = [f"{facts['date']}, commit {facts['commit']}, {facts['cpu']}, {facts['cores']} cores; "
             f"{facts['model']}; medians of {facts['rounds']} rounds, {facts['gen']} tokens decoded "
             "at each depth; "
             + ", ".join(f"{name} {version}" for name, version in versions.items())
             + ". Tokens/s; MB is the process's peak resident memory."]
    lengths = sorted({row["length"] for row in report["rows"]})
    for n_threads in sorted({row["threads"] for row in report["rows"]}):
        gb_s = " / ".join(f"{bandwidth(report, n_threads, n) / 1e9:.1f}" for n in lengths)
        plural = "" if n_threads == 1 else "s"
        lines += ["", f"{n_threads} thread{plural}, {gb_s} GB/s of measured read bandwidth over what a step "
                  f"reads at {' / '.join(map(str, lengths))} tokens:",
                  "", *table(report, n_threads, lengths)]
    errors = sorted({row["error"] for row in report["rows"] if "error" in row})
    lines += ["", *[f"Failed: {error}" for error in errors]] if errors else []
    lines += ["", *report["notes"]] if report.get("notes") else []
    return "\n".join(lines) + "\n"


def put_into(path, text):
    """Replaces what stands between the two markers of a page."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{path} lacks the lines {BEGIN} and {END}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(pattern.sub(lambda _: f"{BEGIN}\n{text}{END}", page))
