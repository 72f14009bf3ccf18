"""Runs -> rows -> verdicts -> tables and pages."""

from .pages import build

__all__ = ['build']
