"""The judge and the worker: the student's code runs there, what it is worth is decided here.

    wire       what passes between them: JSON and tensors, with limits, never pickle
    worker     runs a notebook's cells and then answers calls; lives in the sandbox
    student    the judge's handle on a worker: build this class, call that function, give gradients

A worker may say anything: the judge believes types, shapes and values only as far as it has checked
them, and compares them with its own.
"""
