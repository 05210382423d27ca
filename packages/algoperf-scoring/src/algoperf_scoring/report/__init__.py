"""The report: a leaderboard and how far to trust it, as one HTML file that needs nothing else."""

from algoperf_scoring.report.document import render_report, write_report

__all__ = ["render_report", "write_report"]
