"""Programs for Envoy's container: one argument to `python3 -c`; the wish comes in the environment, the answer is JSON."""

from __future__ import annotations

_READ = """
import base64, http.client, json, os, time, zlib
from urllib.parse import urlsplit
names = sorted(name for name in os.environ if name.startswith('SLIPWAY_WISH_'))
wish = json.loads(zlib.decompress(base64.b64decode(''.join(os.environ[name] for name in names))))
"""

# Writes files beside and renames them, which is what Envoy watches for; then waits until Envoy names their versions.
CHANGE = (
    _READ
    + """
def texts():
    try:
        connection = http.client.HTTPConnection('127.0.0.1', wish['admin'], timeout=2)
        connection.request('GET', '/stats?type=TextReadouts&format=json')
        return {item['name']: item.get('value') for item in json.loads(connection.getresponse().read())['stats']}
    except (OSError, ValueError, http.client.HTTPException):
        return {}

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
