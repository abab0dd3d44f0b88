"""Why a run is not an execution of a spec: the mistake, the precision or the weight that explains it."""
