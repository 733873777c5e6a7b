"""Prints the events of event files as TensorFlow reads them: a JSON list for each file named."""

import json
import sys

from tensorflow.python.summary.summary_iterator import summary_iterator


def read(path):
    for event in summary_iterator(path):
        what = event.WhichOneof("what")
        said = {"step": event.step, "time": event.wall_time, "what": what}
        if what == "file_version":
            said["version"] = event.file_version
        if what == "session_log":
            said["status"] = event.session_log.status
        if what == "summary":
            values = event.summary.value
            said["scalars"] = {v.tag: str(v.simple_value) for v in values if v.HasField("simple_value")}
            said["plugins"] = {
                v.tag: [v.metadata.plugin_data.plugin_name, v.metadata.plugin_data.content.hex()]
                for v in values
                if v.HasField("metadata")
            }
        yield said


print(json.dumps([list(read(path)) for path in sys.argv[1:]]))
