"""Keras files: `.keras`, `.h5`, `.weights.h5`, of every Keras since the first.

`layout` says how a cell's weights lie (gate order, shapes), `weights` where in a file the arrays are, and
`activations` what a name means in which Keras. Reading: `files` opens the four kinds; `config`, `model`
and `graph` follow a stored configuration, `bare` and `assumed` do without; `contents` lists the stacks.
Writing: `plan` makes layers of a spec, `write` makes the file.
"""
