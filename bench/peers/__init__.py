"""The servers that the measurements compare with, each written as its documentation shows."""
