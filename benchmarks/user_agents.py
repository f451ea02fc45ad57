"""`make bench-user-agents`: what judging user agents costs a process: start-up, memory, time per agent.

Without an argument the agents are generated here. With the path of a labelled set (JSON lines with `ua` and `label`)
they are that set's:

    make bench-user-agents AGENTS=set.jsonl

Each round is a process of its own, because start-up and the first pass can be measured only once in a process. *cold*
is an agent never seen, *warm* one that the matchers have met and the cache of verdicts has not, *hit* one in the cache.
Times are processor times, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

_ROUNDS = 3
_GENERATED = 15_000
_CACHED = 10_000
"""So many of the last agents are surely in the cache."""
_PAGE_BYTES = 4096
_WORDS = {
    "start_ms": "start-up, ms",
    "loaded_mb": "memory when loaded, MB",
    "full_mb": "memory after all agents, MB",
    "cold_us": "cold, µs per agent",
    "cold_p99_us": "cold, 99 of 100 below, µs",
    "warm_us": "warm, µs per agent",
    "hit_us": "hit, µs per agent",
    "hostile_ms": "slowest hostile 8 KB header, ms",
}
_HOSTILE = (
    "a" * 8000,
    "x/1." + "0" * 8000,
    "Mozilla/5.0 (" + "a b;" * 2000,
    "Mozilla/5.0 " + "(" * 8000,
    ".com " * 1600,
)

Agents = list[tuple[str, str]]
"""Label and user agent."""


class Round(TypedDict):
    """What one process measured."""

    figures: dict[str, float]
    verdicts: list[tuple[str, str, int]]
    """Label, verdict, how many."""


def main() -> None:
    parser = argparse.ArgumentParser(description="What judging user agents costs.")
    parser.add_argument("agents", nargs="?", type=Path, help="a labelled set; without it, generated agents")
    parser.add_argument("--once", action="store_true", help="one round in this process, as JSON")
    asked = parser.parse_args()
    if asked.once:
        print(json.dumps(measure(read_set(asked.agents) if asked.agents else generated_agents())))
        return
    rounds = [_in_a_process_of_its_own(asked.agents) for _ in range(_ROUNDS)]
    report(rounds)
    if not asked.agents and any(label != verdict for label, verdict, _ in rounds[0]["verdicts"]):
        sys.exit("a generated agent got another verdict than the one it was made for")


def measure(agents: Agents) -> Round:
    """One round; this process must not have judged anything before."""
    before_mb, began = _resident_mb(), time.process_time()
    # Part of what is measured.
    from app.ingest.user_agents import judge_user_agent, warm_up

    warm_up()
    start_ms, loaded_mb = 1000 * (time.process_time() - began), _resident_mb()
    cold = _each_us(judge_user_agent, [agent for _, agent in agents])
    # A blank at the end is another key for the cache and the same agent for the matchers.
    again = [agent + " " for _, agent in agents]
    warm_us = _mean_us(judge_user_agent, again)
    hit_us = _mean_us(judge_user_agent, again[-_CACHED:])
    hostile = _each_us(judge_user_agent, list(_HOSTILE))
    full_mb = _resident_mb()
    verdicts = Counter((label, judge_user_agent(agent).verdict.value) for label, agent in agents)
    return {
        "figures": {
            "start_ms": start_ms,
            "loaded_mb": loaded_mb - before_mb,
            "full_mb": full_mb - before_mb,
            "cold_us": statistics.mean(cold),
            "cold_p99_us": statistics.quantiles(cold, n=100)[98],
            "warm_us": warm_us,
            "hit_us": hit_us,
            "hostile_ms": max(hostile) / 1000,
        },
        "verdicts": [(label, verdict, number) for (label, verdict), number in sorted(verdicts.items())],
    }


def _each_us(judge: Callable[[str], object], agents: list[str]) -> list[float]:
    taken = []
    for agent in agents:
        began = time.thread_time_ns()
        judge(agent)
        taken.append((time.thread_time_ns() - began) / 1000)
    return taken


def _mean_us(judge: Callable[[str], object], agents: list[str]) -> float:
    began = time.thread_time_ns()
    for agent in agents:
        judge(agent)
    return (time.thread_time_ns() - began) / 1000 / len(agents)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES / 1e6


def _in_a_process_of_its_own(agents: Path | None) -> Round:
    command = [sys.executable, "-m", "benchmarks.user_agents", "--once", *([str(agents)] if agents else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=300)
    measured: Round = json.loads(done.stdout)
    return measured


def read_set(path: Path) -> Agents:
    """A labelled set: JSON lines with `ua` and `label`."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line)
    return [(row["label"], row["ua"]) for row in rows]


def generated_agents() -> Agents:
    """Agents of browsers, apps, mail programs and machines, all different, always the same."""
    chance = random.Random(20)
    agents: dict[str, str] = {}
    for label, agent in _invented(chance):
        agents.setdefault(agent, label)
        if len(agents) == _GENERATED:
            break
    return [(label, agent) for agent, label in agents.items()]


def _invented(chance: random.Random) -> Iterator[tuple[str, str]]:
    while True:
        version = f"{chance.randint(70, 140)}.0.{chance.randint(0, 7000)}.{chance.randint(0, 250)}"
        ios = f"{chance.randint(12, 18)}_{chance.randint(0, 7)}"
        name = "".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(4, 9))).title()
        model = f"{name[:2].upper()}-{chance.randint(100, 9999)}"
        blink = "AppleWebKit/537.36 (KHTML, like Gecko)"
        chrome = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {blink} Chrome/{version} Safari/537.36"
        phone = f"Mozilla/5.0 (Linux; Android {chance.randint(6, 15)}; {model}"
        webkit = f"(iPhone; CPU iPhone OS {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
        yield "human", chrome
        yield "human", f"{phone}) {blink} Chrome/{version} Mobile Safari/537.36"
        yield "human", f"{phone} Build/{name}; wv) {blink} Version/4.0 Chrome/{version} Mobile Safari/537.36 {name}/1.0"
        yield "human", f"Mozilla/5.0 {webkit} Version/{ios.replace('_', '.')} Mobile/15E148 Safari/604.1"
        yield "human", f"Mozilla/5.0 {webkit} Mobile/15E{chance.randint(100, 999)} {name}/{chance.randint(1, 40)}.0"
        yield (
            "human",
            f"Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.{chance.randint(1, 99999)}; Pro)",
        )
        yield "machine", f"Mozilla/5.0 (compatible; {name}Bot/{version}; +https://{name.lower()}.example/bot)"
        yield "machine", f"{chrome} {name}Crawler/{version}"
        yield "machine", f"python-requests/{version}"


def report(rounds: list[Round]) -> None:
    """A table for people; the last line for programs."""
    figures = {name: round(statistics.median(each["figures"][name] for each in rounds), 2) for name in _WORDS}
    for name, words in _WORDS.items():
        print(f"{words:<36}{figures[name]:9.2f}")
    for label, verdict, number in rounds[0]["verdicts"]:
        print(f"{label + ' judged ' + verdict:<36}{number:9,}")
    print()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
