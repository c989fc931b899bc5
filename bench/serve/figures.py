"""What a run amounts to: percentiles, throughput, and the share of requests that were served well."""


def percentile(values, share):
    """Linear between the two nearest values; None: there are none."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values):
    return {"p50": percentile(values, 0.50), "p95": percentile(values, 0.95),
            "p99": percentile(values, 0.99), "mean": sum(values) / len(values) if values else None,
            "n": len(values)}


def gaps(outcome):
    return [b - a for a, b in zip(outcome.pieces, outcome.pieces[1:])]


def within(outcome, slo):
    """Whether a request met every bound that is given; one that failed met none."""
    if not outcome.ok:
        return False
    tpot = outcome.tpot
    return ((slo["ttft"] is None or outcome.ttft <= slo["ttft"])
            and (slo["tpot"] is None or tpot is None or tpot <= slo["tpot"])
            and (slo["e2e"] is None or outcome.e2e <= slo["e2e"]))


def decode_rate(outcomes, n_at_once):
    """Tokens/s and seconds while at least n_at_once answers were between their first and last token.

    Prompts that are read meanwhile would hide what decoding can do; so this counts only the time in
    which as many answers as wanted decode.
    """
    marks = []
    for outcome in outcomes:
        if len(outcome.pieces) < 2:
            continue
        # A piece may be several tokens, where the server sends them together.
        each = (outcome.n_generated - 1) / (len(outcome.pieces) - 1)
        marks.append((outcome.pieces[0], 1, 0.0))
        marks += [(at, 0, each) for at in outcome.pieces[1:]]
        marks.append((outcome.pieces[-1], -1, 0.0))
    # At one moment, what ends is counted before what leaves, and what comes after that.
    marks.sort(key=lambda mark: (mark[0], {0: 0, -1: 1, 1: 2}[mark[1]]))
    n, since, seconds, tokens = 0, 0.0, 0.0, 0.0
    for at, step, made in marks:
        if n >= n_at_once:
            seconds += at - since
            tokens += made
        n, since = n + step, at
    return (tokens / seconds if seconds > 0 else None), seconds


def summary(outcomes, n_at_once, slo):
    good = [outcome for outcome in outcomes if outcome.ok]
    begin = min((outcome.due for outcome in outcomes), default=0.0)
    end = max((outcome.end for outcome in outcomes), default=0.0)
    wall = end - begin
    n_within = sum(within(outcome, slo) for outcome in outcomes)
    n_generated = sum(outcome.n_generated for outcome in good)
    n_prompt = sum(outcome.n_prompt for outcome in good)
    rate, seconds = decode_rate(good, n_at_once)
    statuses = {}
    for outcome in outcomes:
        statuses[str(outcome.status)] = statuses.get(str(outcome.status), 0) + 1
    return {
        "requests": len(outcomes), "failed": len(outcomes) - len(good), "statuses": statuses,
        "wall_s": wall, "prompt_tokens": n_prompt, "generated_tokens": n_generated,
        "requests_per_s": len(good) / wall if wall else None,
        "generated_tokens_per_s": n_generated / wall if wall else None,
        "total_tokens_per_s": (n_prompt + n_generated) / wall if wall else None,
        "decode_tokens_per_s": rate, "decode_at_once": n_at_once, "decode_seconds": seconds,
        "ttft_s": spread([outcome.ttft for outcome in good]),
        "inter_token_s": spread([gap for outcome in good for gap in gaps(outcome)]),
        "tpot_s": spread([outcome.tpot for outcome in good if outcome.tpot is not None]),
        "e2e_s": spread([outcome.e2e for outcome in good]),
        "slo": slo, "goodput": n_within / len(outcomes) if outcomes else None,
        "good_requests_per_s": n_within / wall if wall else None,
    }


def _number(value, scale=1.0, form="{:.1f}"):
    return "-" if value is None else form.format(value * scale)


def text(figures):
    bounds = [f"{name} <= {value:g} s" for name, value in figures["slo"].items() if value is not None]
    lines = [
        f"{figures['requests']} requests, {figures['failed']} failed, {figures['wall_s']:.1f} s; "
        f"{figures['prompt_tokens']} prompt tokens, {figures['generated_tokens']} generated",
        f"throughput   {_number(figures['total_tokens_per_s'])} tokens/s in all, "
        f"{_number(figures['generated_tokens_per_s'])} generated, "
        f"{_number(figures['requests_per_s'], form='{:.2f}')} requests/s",
        f"decode       {_number(figures['decode_tokens_per_s'])} tokens/s while "
        f"{figures['decode_at_once']} answers decode ({figures['decode_seconds']:.1f} s)",
        f"{'ms':<13}{'p50':>9}{'p95':>9}{'p99':>9}{'mean':>9}",
    ]
    for name, label in (("ttft_s", "first token"), ("inter_token_s", "inter-token"),
                        ("tpot_s", "per token"), ("e2e_s", "end to end")):
        row = figures[name]
        lines.append(f"{label:<13}" + "".join(
            f"{_number(row[key], 1000):>9}" for key in ("p50", "p95", "p99", "mean")))
    lines.append(f"goodput      {_number(figures['goodput'], 100)} % of the requests, "
                 f"{_number(figures['good_requests_per_s'], form='{:.2f}')} a second "
                 f"({', '.join(bounds) or 'no SLO given: all that were answered'})")
    return "\n".join(lines)
