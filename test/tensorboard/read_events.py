"""Prints what TensorBoard shows of a trial's folder, as JSON: its curves, and its session on the HParams page."""

import json
import sys

from google.protobuf.json_format import MessageToDict
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.image.metadata import PLUGIN_NAME as IMAGES
from tensorboard.plugins.scalar.metadata import PLUGIN_NAME
from tensorboard.util import tensor_util

board = EventAccumulator(sys.argv[1])
board.Reload()
session = board.PluginTagToContent(metadata.PLUGIN_NAME)
start = metadata.parse_session_start_info_plugin_data(session[metadata.SESSION_START_INFO_TAG])
end = session.get(metadata.SESSION_END_INFO_TAG)
print(
    json.dumps(
        {
            "curves": {
                tag: [[at.step, str(tensor_util.make_ndarray(at.tensor_proto).item())] for at in board.Tensors(tag)]
                for tag in board.PluginTagToContent(PLUGIN_NAME)
            },
            # Width and height as text, then the PNG.
            "images": {
                tag: [
                    [
                        at.step,
                        *(part.decode("latin1") for part in tensor_util.make_ndarray(at.tensor_proto).tolist()[:2]),
                    ]
                    for at in board.Tensors(tag)
                ]
                for tag in (board.PluginTagToContent(IMAGES) if IMAGES in board.ActivePlugins() else [])
            },
            "start": MessageToDict(start),
            "end": end and MessageToDict(metadata.parse_session_end_info_plugin_data(end)),
        }
    )
)
