"""The second verifier of the event log, in plain Python 3: verify.py {proof,export,stream} --policy FILE …, with the flags
of `thidua log verify` (not --disclosures; --tiles says nothing here). Exit: 0 verified, 1 not, 2 a file cannot be read."""
import base64, functools, hashlib, json, os, re, sys
P, L, D = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493, -121665 * pow(121666, -1, 2**255 - 19)
def need(holds, why): return bool(holds) or sys.exit("not verified: " + why)
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def root_of(roots): return functools.reduce(lambda right, left: sha(b"\1", left, right), roots[::-1]) if roots else sha()
def b64(text, size=32):
    raw = base64.b64decode(text, validate=True)
    return need(base64.b64encode(raw).decode() == text and size in (0, len(raw)), "bad base64: " + text) and raw
def add(p, q):  # Ed25519 of RFC 8032, in extended coordinates
    a, b, c, d = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0]), 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(n, p): return add(times(n // 2, add(p, p)), p if n & 1 else (0, 1, 1, 0)) if n else (0, 1, 1, 0)
def point(raw):
    sign, y = divmod(int.from_bytes(raw, "little"), 2**255)
    xx, roots = (y * y - 1) * pow(D * y * y + 1, -1, P) % P, [pow(2, P // 4 * i, P) for i in range(4)]
    x = next((x for x in (pow(xx, P // 8 + 1, P) * root % P for root in roots) if x * x % P == xx and x & 1 == sign), P)
    return need(x < P > y, "not a point of the curve") and (x, y, 1, x * y % P)
def is_signed(kind, key, text, sig):
    if kind == 4: text, sig = f"cosignature/v1\ntime {int.from_bytes(sig[:8], 'big')}\n" + text, sig[8:]
    s, k = (int.from_bytes(raw, "little") for raw in (sig[32:], hashlib.sha512(sig[:32] + key + text.encode()).digest()))
    x, y, z, _ = add(point(sig[:32]), add(times(k % L, point(key)), times(s, point(b"X" + b"f" * 30 + b"\xe6"))))
    return len(sig) == 64 and s < L and x == (y - z) % P == 0
def opened(note, keys):  # a note of C2SP: its lines, and who signed it
    (text, lines), signed = re.fullmatch(r"(?!.*[\0-\t\v-\x1f])(.*\n)\n((?:— [^\s+]+ \S+\n)+)", note, re.S).groups(), {}
    for name, raw in (line[2:].split(" ") for line in lines[:-1].split("\n")):
        raw, (key, who) = b64(raw, 0), keys.get((name, b64(raw, 0)[:4].hex()), (b"", ""))
        valid = not key or (name, key) not in signed and is_signed(key[0], key[1:], text, raw[4:])
        signed[name, key] = need(valid, "wrong signature of " + name) and who
    return text.split("\n"), {"none", *signed.values()} - {""}
def climb(at, last, old, new, path):  # RFC 9162: the roots of the older and of the newer tree
    for sibling in path if at <= last else ():
        left = need(last > 0, "the proof is too long") and (at & 1 or at == last)
        old, new = (sha(b"\1", sibling, old), sha(b"\1", sibling, new)) if left else (old, sha(b"\1", new, sibling))
        at, last = (n >> ((at & -at).bit_length() if left else 1) for n in (at, last))
    return need(at == last == 0, "the proof is too short") and (old, new)
def run(what, policy="", proof="", leaf="", manifest="", content="", leaves="", consistency="", state="", tiles=""):
    def read(flag, flags=locals()): return open({"-": 0}.get(name := flags.get(flag, ""), name), "rb")
    keys, groups, tips, file, marked = {}, {}, {}, what == "export", None
    for word, *words in (line.split() for line in read("policy").read().decode().split("\n") if line.strip()):
        if word == "group": groups[words[0]] = {"all": len(words) - 2, "any": 1}.get(words[1]) or int(words[1]), words[2:]
        elif word == "quorum": groups["quorum"] = 1, words
        elif word[0] != "#":
            name, key_id, key = words[word == "witness"].split("+", 2)
            keys[name, key_id] = b64(key, 33), words[0] if word == "witness" else "log " + name
    head, _, note = read("manifest" if file else "proof").read().decode().partition("\n--\n" if file else "\n\n")
    (origin, size, root, *more, _), signed, said = *opened(note, keys), opened(head + "\n", keys) if file else None
    for name, (least, members) in groups.items(): signed |= {name} if len(signed & {*members}) >= least else set()
    need({"log " + origin, "quorum"} <= signed and "" not in more, "the log did not sign, or the witnesses are no quorum")
    held = open(state).read().split("\n") if os.path.exists(state) else [origin, "0", base64.b64encode(sha()).decode()]
    size, root, before, old, content = int(size), b64(root), int(held[1]), b64(held[2]), hashlib.sha256()
    if file:
        names, values = zip(*(line.partition(" ")[::2] for line in said[0]))
        (at, to, events, length), roots = map(int, values[3:7]), [b64(root) for root in values[8:-1]]
        good = (*"thidua.export/1 log export from to events bytes sha256".split(), *["left"] * bin(at).count("1"), "")
        need((names, to, events, values[1]) == (good, size, size - at, origin) and said[0][1] in said[1], "bad manifest")
    else: at, path = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra \S+\n)?index (0|[1-9]\d*)((?:\n\S+){,64})", head).groups()
    for place, line in enumerate(read({"proof": "leaf", "export": "content", "stream": "leaves"}.get(what, ""))):
        hash, marked = sha(b"\0", line.removesuffix(b"\n")), root_of(roots) if file and at == before else marked
        if what != "proof":
            ver, prev, stream = map(json.loads(line.decode(), parse_constant=int).get, ("ver", "prev", "stream"))
            last = tips.get(stream, (1, None) if not file or at == place else (max(ver, 1), prev))
            need((line[-1:], type(ver), ver, prev, prev is None) == (b"\n", int, *last, ver == 1), f"line {place + 1}: bad link")
            tips[stream] = ver + 1, base64.urlsafe_b64encode(hash).decode().rstrip("=")
        if file:
            for _ in range((at ^ at + 1).bit_length() - 1): hash = sha(b"\1", roots.pop(), hash)
            at, length, *_ = at + 1, length - len(line), roots.append(hash), content.update(line)
    if file: need((at, root_of(roots), length, content.digest()) == (size, root, 0, b64(values[7])), "it is not the log")
    else: need(climb(int(at), size - 1, hash, hash, map(b64, path.split()))[1] == root and (len(tips) or place + 1) == 1, "leaf")
    known = root if before == size else marked or (None if before else old)
    if consistency and 0 < before < size:
        given, low = json.load(read("consistency")), (before & -before).bit_length() - 1
        path = [old] * (before == 1 << low) + [b64(hash) for hash in given["hashes"]]
        ends = given["from"], given["to"], *climb(before - 1 >> low, size - 1 >> low, path[0], path[0], path[1:])
        known = old if known in (None, old) and ends == (before, size, old, root) else None
    need(known == old and held[0] == origin and before <= size, "it does not continue the checkpoint accepted before")
    state and open(state + ".new", "w").write(note) and os.replace(state + ".new", state); print("verified:", origin, size)
try: run((sys.argv + [""])[1], **{flag[2:]: value for flag, value in zip(sys.argv[2::2], sys.argv[3::2], strict=True)})
except Exception as error: sys.exit(print(error) or 2 if isinstance(error, OSError) else f"not verified: {error!r}")
