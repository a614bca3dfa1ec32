"""What ``memray table --leaks`` would put first, as JSON: run by the workload's own Python on memray's recording."""

import json
import sys

import memray

MOST = 3

reader = memray.FileReader(sys.argv[1])
records = sorted(reader.get_leaked_allocation_records(merge_threads=True), key=lambda one: one.size, reverse=True)
answer = []
for record in records[:MOST]:
    stack = record.hybrid_stack_trace() if reader.metadata.has_native_traces else record.stack_trace()
    frames = [[file, line, function] for function, file, line in stack]
    answer.append({"bytes": record.size, "objects": record.n_allocations, "frames": frames})
print(json.dumps(answer))
