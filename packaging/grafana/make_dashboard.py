#!/usr/bin/env python3
"""Writes kvasir.json, the Grafana dashboard of `kvasir serve`; a panel is a line of PANELS.

    python3 packaging/grafana/make_dashboard.py
"""

import json
import pathlib

MODEL = 'model_name=~"$model"'


def rate(name, labels=""):
    return f"sum(rate({name}{{{MODEL}{labels}}}[$__rate_interval]))"


def gauge(name, labels=""):
    return f"sum({name}{{{MODEL}{labels}}})"


def quantiles(name):
    return [(f"histogram_quantile({q}, sum by (le) "
             f"(rate({name}_bucket{{{MODEL}}}[$__rate_interval])))", f"p{round(q * 100)}")
            for q in (0.5, 0.95, 0.99)]


# title, unit, [(query, legend)]
PANELS = [
    ("Tokens a second", "short", [
        (rate("kvasir_prompt_tokens_total"), "prompt"),
        (rate("kvasir_generation_tokens_total"), "generated")]),
    ("Requests", "short", [
        (gauge("kvasir_requests_running"), "running"),
        (gauge("kvasir_requests_waiting"), "waiting")]),
    ("Time to first token", "s", quantiles("kvasir_time_to_first_token_seconds")),
    ("Between two tokens", "s", quantiles("kvasir_inter_token_latency_seconds")),
    ("Whole requests", "s", quantiles("kvasir_e2e_request_latency_seconds")),
    ("Waiting for a slot", "s", quantiles("kvasir_request_queue_time_seconds")),
    ("KV memory", "bytes", [
        (f"sum by (tier) (kvasir_kv_bytes{{{MODEL}}})", "{{tier}}"),
        (gauge("kvasir_kv_limit_bytes"), "limit")]),
    ("Share of KV memory in use", "percentunit", [
        (f"max by (tier) (kvasir_kv_usage_ratio{{{MODEL}}})", "{{tier}}")]),
    ("Prompt tokens that were not read again", "percentunit", [
        (f"{rate('kvasir_prefix_hit_tokens_total')} / "
         f"clamp_min({rate('kvasir_prefix_query_tokens_total')}, 1)", "found in caches")]),
    ("Room made for others", "short", [
        (rate("kvasir_preemptions_total"), "preemptions"),
        (rate("kvasir_slots_evicted_total"), "idle caches given up"),
        (rate("kvasir_reprefill_tokens_total"), "tokens read again")]),
    ("Rows a step", "short", [
        (f"{rate('kvasir_step_rows_total')} / clamp_min({rate('kvasir_steps_total')}, 1)",
         "rows")]),
    ("How answers end", "short", [
        (f"sum by (finished_reason) (rate(kvasir_request_success_total{{{MODEL}}}"
         "[$__rate_interval]))", "{{finished_reason}}"),
        (rate("kvasir_requests_canceled_total"), "client went")]),
    ("Replies by status", "short", [
        (f"sum by (code) (rate(kvasir_http_requests_total{{{MODEL}}}[$__rate_interval]))",
         "{{code}}")]),
    ("Connections", "short", [
        (gauge("kvasir_http_connections"), "open"),
        (rate("kvasir_http_connections_refused_total"), "refused a second")]),
    ("Prompt and answer", "s", [
        (f"{rate('kvasir_request_prefill_time_seconds_sum')} / "
         f"clamp_min({rate('kvasir_request_prefill_time_seconds_count')}, 1e-9)", "reading"),
        (f"{rate('kvasir_request_decode_time_seconds_sum')} / "
         f"clamp_min({rate('kvasir_request_decode_time_seconds_count')}, 1e-9)", "answering")]),
    ("Up for", "s", [(f"time() - min(kvasir_start_time_seconds{{{MODEL}}})", "uptime")]),
]

SOURCE = {"type": "prometheus", "uid": "${source}"}


def panel(number, title, unit, queries):
    return {
        "id": number + 1, "type": "timeseries", "title": title, "datasource": SOURCE,
        "gridPos": {"h": 8, "w": 12, "x": number % 2 * 12, "y": number // 2 * 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + i), "expr": expr, "legendFormat": legend,
                     "datasource": SOURCE} for i, (expr, legend) in enumerate(queries)],
    }


def dashboard():
    return {
        "title": "Kvasir", "uid": "kvasir", "schemaVersion": 38, "editable": True,
        "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "tags": ["kvasir", "llm"],
        "templating": {"list": [
            {"name": "source", "type": "datasource", "query": "prometheus"},
            {"name": "model", "type": "query", "datasource": SOURCE, "includeAll": True,
             "multi": True, "refresh": 2,
             "query": "label_values(kvasir_start_time_seconds, model_name)"}]},
        "panels": [panel(i, *line) for i, line in enumerate(PANELS)],
    }


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("kvasir.json")
    path.write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")
