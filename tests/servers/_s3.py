"""An object store on 127.0.0.1 that speaks S3: moto's, in a thread of this process."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ._process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def bucket(name: str, contents: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """A bucket with these objects; gives the environment by which fsspec finds it."""
    from boto3.session import Session
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        access = {
            "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "FSSPEC_S3_KEY": "user",
            "FSSPEC_S3_SECRET": "password",
        }
        session = Session("user", "password", region_name="us-east-1")
        with closing(session.client("s3", endpoint_url=access["FSSPEC_S3_ENDPOINT_URL"])) as client:
            client.create_bucket(Bucket=name)
            for key, content in contents.items():
                client.put_object(Bucket=name, Key=key, Body=content)
        yield access
    finally:
        server.stop()
