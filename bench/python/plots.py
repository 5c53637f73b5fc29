"""The benchmark's plots: plots.py FOLDER reads FOLDER/results.json and writes SVG files beside it."""

import json
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

PALETTE = {
    "session.run": "#7f7f7f",
    "pipeline": "#bcbd22",
    "Segue gRPC": "#0b5cad",
    "Segue HTTP": "#3fa7ff",
    "Ray Serve": "#d1495b",
    "FastAPI": "#edae49",
}


def points(summaries: list[dict], pattern: str) -> dict[str, list[tuple[float, dict]]]:
    """Each contestant's scenarios that match, by the number that the pattern's group finds."""
    found: dict[str, list[tuple[float, dict]]] = {}
    for summary in summaries:
        if match := re.fullmatch(pattern, summary["scenario"]):
            found.setdefault(summary["contestant"], []).append((float(match[1]), summary))
    return {name: sorted(series, key=lambda point: point[0]) for name, series in found.items()}


def draw(path: Path, title: str, across: str, up: str, panels: dict[str, dict], value) -> None:
    """One panel beside another, a line for each contestant; `value` gives a summary's height and the range around it."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 3.8), squeeze=False, layout="constrained")
    for axis, (name, series) in zip(axes[0], panels.items(), strict=True):
        for contestant, line in series.items():
            numbers = [number for number, _ in line]
            middle, low, high = zip(*(value(summary) for _, summary in line), strict=True)
            colour = PALETTE[contestant]
            axis.plot(numbers, middle, marker="o", color=colour, label=contestant)
            axis.fill_between(numbers, low, high, color=colour, alpha=0.15, linewidth=0)
        axis.set(title=name, xlabel=across, ylabel=up, ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize="small")
    figure.suptitle(title)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    folder = Path(sys.argv[1])
    summaries = json.loads((folder / "results.json").read_text())["summaries"]
    plt.rcParams["svg.hashsalt"] = "segue"  # the same results give the same file
    closed = {name: points(summaries, rf"one target, {name} pictures, (\d+) clients?") for name in ("new", "repeated")}
    panels = {f"{name} pictures": series for name, series in closed.items() if series}
    served = {name: {who: line for who, line in series.items() if who != "session.run"} for name, series in panels.items()}
    rate = lambda one: (one["perSecond"], *one["perSecondRange"])  # noqa: E731
    spread = lambda one: (one["p50"] / 1000, one["p50"] / 1000, one["p99"] / 1000)  # noqa: E731
    draw(folder / "throughput.svg", "Throughput, lowest to highest round", "clients", "answers/s", served, rate)
    draw(folder / "latency.svg", "Latency, p50 (line) to p99", "clients", "seconds", panels, spread)
    arrivals = {"new pictures": points(summaries, r"one target, new pictures, arrivals at (\d+) %")}
    if arrivals["new pictures"]:
        draw(
            folder / "open-loop.svg",
            "Latency as arrivals grow, p50 (line) to p99",
            "% of Segue's throughput",
            "seconds",
            arrivals,
            spread,
        )


if __name__ == "__main__":
    main()
