"""Samples out of what a command line can name: array files, folders of images, a function that makes a loader."""

from initadvisor.frontends.data_files.reading import DataSet, read_data

__all__ = ["DataSet", "read_data"]
