"""A Prometheus scrape: the text parsed by prometheus_client, and its conventions."""

import json
import math
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families


def scrape(server):
    families = text_string_to_metric_families(server.get("/metrics"))
    return {family.name: family for family in families}


def test_the_text_is_what_a_scraper_reads(server):
    families = scrape(server)
    assert len(families) > 20
    text = server.get("/metrics")
    assert text.endswith("\n") and "# EOF" not in text
    for name, family in families.items():
        assert family.documentation, f"{name} has no HELP"
        assert family.type in ("counter", "gauge", "histogram"), f"{name} is {family.type}"
        assert text.count(f"# TYPE {name}") >= 1
        seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(seen) == len(set(seen)), f"{name} has a sample twice"
        for sample in family.samples:
            assert not math.isnan(sample.value), sample


def test_names_are_as_prometheus_wants_them(server):
    for line in server.get("/metrics").splitlines():
        if not line.startswith("# TYPE kvasir_"):
            continue
        _, _, name, kind = line.split()
        assert name.endswith("_total") == (kind == "counter"), line
        assert not name.endswith(("_ms", "_milliseconds", "_kb", "_mb", "_count", "_sum")), line


def test_histograms_add_up(server):
    for name, family in scrape(server).items():
        if family.type != "histogram":
            continue
        buckets = [(float(s.labels["le"]), s.value) for s in family.samples
                   if s.name == name + "_bucket"]
        assert buckets == sorted(buckets) and buckets[-1][0] == math.inf, name
        assert [count for _, count in buckets] == sorted(count for _, count in buckets), name
        count = next(s.value for s in family.samples if s.name == name + "_count")
        assert buckets[-1][1] == count, name
        assert any(s.name == name + "_sum" for s in family.samples), name


@pytest.mark.parametrize("name", [
    "kvasir_prompt_tokens", "kvasir_generation_tokens", "vllm:prompt_tokens",
    "vllm:generation_tokens", "llamacpp:prompt_tokens", "llamacpp:tokens_predicted"])
def test_counters_move_by_what_was_served(server, name):
    def value():
        return sum(s.value for s in scrape(server)[name].samples)

    server.await_metric("kvasir_requests_running", 0)
    before = value()
    request = urllib.request.Request(
        server.url + "/v1/completions", headers={"Content-Type": "application/json"},
        data=json.dumps({"prompt": [5, 6, 7, 8], "max_tokens": 3, "ignore_eos": True,
                         "cache_prompt": False}).encode())
    urllib.request.urlopen(request, timeout=60).read()
    server.await_metric("kvasir_requests_running", 0)
    assert value() - before == (4 if "prompt" in name else 3)


def test_every_alias_is_there(server):
    families = scrape(server)
    for name in ("vllm:num_requests_running", "vllm:num_requests_waiting",
                 "vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries", "vllm:prefix_cache_hits",
                 "vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds",
                 "vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds",
                 "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds",
                 "vllm:request_success", "llamacpp:requests_processing",
                 "llamacpp:requests_deferred"):
        assert name in families, name
