"""Programs for Envoy's container: one argument to `python3 -c`; the wish comes in the environment, the answer is JSON."""

from __future__ import annotations

_READ = """
import base64, json, os, time, zlib
names = sorted(name for name in os.environ if name.startswith('SLIPWAY_WISH_'))
wish = json.loads(zlib.decompress(base64.b64decode(''.join(os.environ[name] for name in names))))
"""

# Writes files beside and renames them, which is what Envoy watches for; then waits until Envoy names their versions. It
# speaks HTTP by itself: while everything is busy, importing a client would be most of what a roll-back takes.
CHANGE = (
    _READ
    + """
import socket

def texts():
    try:
        with socket.create_connection(('127.0.0.1', wish['admin']), timeout=2) as connection:
            connection.sendall(b'GET /stats?type=TextReadouts&format=json HTTP/1.1\\r\\nHost: admin\\r\\nConnection: close\\r\\n\\r\\n')
            raw = b''
            while part := connection.recv(65536):
                raw += part
        body, rest = b'', raw.partition(b'\\r\\n\\r\\n')[2]
        while rest:  # it comes in chunks
            size, _, rest = rest.partition(b'\\r\\n')
            body, rest = body + rest[:int(size, 16)], rest[int(size, 16) + 2:]
        return {item['name']: item.get('value') for item in json.loads(body)['stats']}
    except (OSError, ValueError):
        return {}

try:
    os.unlink(os.path.join(wish['folder'], 'inbox.json'))  # what was left there is older
except FileNotFoundError:
    pass
for name, text in wish['files'].items():
    beside = os.path.join(wish['folder'], '.' + name + '.part')
    with open(beside, 'w', encoding='utf-8') as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(beside, os.path.join(wish['folder'], name))
end, effect = time.monotonic() + wish['limit_s'], False
while not effect and time.monotonic() < end:
    found = texts()
    effect = all(found.get(name) == value for name, value in wish['expected'].items())
    effect or time.sleep(0.01)
if effect and wish['tidy']:
    for name in os.listdir(wish['folder']):
        if name.startswith('eds-') and name not in wish['files']:
            os.unlink(os.path.join(wish['folder'], name))
print(json.dumps({'effect': effect}))
"""
)

# Sends one request and tells the answer.
ASK = (
    _READ
    + """
import http.client
from urllib.parse import urlsplit

place = urlsplit(wish['url'])
try:
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=wish['timeout_s'])
    kind = {'content-type': 'application/json'} if wish['body'] is not None else {}
    path = place.path + ('?' + place.query if place.query else '')
    method = 'GET' if wish['body'] is None else 'POST'
    connection.request(method, path, wish['body'], {**kind, **wish['headers']})
    answer = connection.getresponse()
    raw = answer.read(8388609)
    if len(raw) > 8388608:
        raise OSError('too long an answer')
    headers = {key.lower(): value for key, value in answer.getheaders()}
    print(json.dumps({'status': answer.status, 'headers': headers, 'body': base64.b64encode(raw).decode()}))
except (OSError, http.client.HTTPException) as error:
    print(json.dumps({'fault': str(error) or type(error).__name__}))
"""
)
