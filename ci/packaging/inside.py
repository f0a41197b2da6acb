"""Programs that run inside a container under test: one argument to `python3 -c`, because nothing else is in there."""

from __future__ import annotations

# Lists every file of the image, and which of the small ones begin like a private key.
LIST = """
import json, os
names, keys = [], []
for folder, below, files in os.walk('/'):
    below[:] = [name for name in below if os.path.join(folder, name) not in ('/proc', '/sys', '/dev')]
    for name in files:
        path = os.path.join(folder, name)
        names.append(path)
        try:
            if os.path.isfile(path) and os.path.getsize(path) < 65536:
                with open(path, 'rb') as file:
                    head = file.read(64).lstrip()
                if head.startswith(b'-----BEGIN') and b'PRIVATE KEY' in head:
                    keys.append(path)
        except OSError:
            pass
print(json.dumps({'names': names, 'keys': keys}))
"""

# Sends what the environment holds to the server beside it; prints the status and the body.
ASK = """
import http.client, os, sys
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['SLIPWAY_SERVING_PORT']), timeout=10)
connection.request('POST', '/predict', os.environ['SLIPWAY_STDIN'].encode(), {'Content-Type': 'application/json'})
answer = connection.getresponse()
print(answer.status)
sys.stdout.write(answer.read().decode())
"""

# Sends one request, as the environment spells it (JSON), to a server beside it; prints status, headers and body.
SEND = """
import http.client, json, os, sys
wish = json.loads(os.environ['SLIPWAY_STDIN'])
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ[wish['port']]), timeout=10)
connection.request(wish['method'], wish['path'], wish['body'], wish['headers'])
answer = connection.getresponse()
print(answer.status)
print(json.dumps({name.lower(): value for name, value in answer.getheaders()}))
sys.stdout.write(answer.read().decode())
"""

# Tries to write where the image lies; prints what it could.
WRITE = """
import os
for folder in ('/', '/opt/slipway', '/model', '/tmp', '/var', '/home'):
    try:
        with open(os.path.join(folder, 'x'), 'w'):
            print(folder)
    except OSError:
        pass
print('uid', os.getuid())
"""


def python(program: str) -> list[str]:
    """Return the command that runs a program inside."""
    return ["python3", "-I", "-c", program]
