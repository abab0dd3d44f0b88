"""ONNX files: GRU nodes of any exporter read, one node per layer written.

`gru_node` says how a node's weights lie (gate order, shapes), `activations` how it lists its functions.
`messages` holds ONNX's protobuf classes, `opsets` the versions that can be written.
Reading: `protobuf` leaves large tensors in the file, `tensors` and `external` view them; `graph` resolves
names, `fold` and `ops` compute constants, `chain` finds stacked nodes; `contents` lists the stacks.
Writing: `build` makes a graph of `nodes`, with `gate_outputs` if wanted; `write` and `store` make the file.
"""
