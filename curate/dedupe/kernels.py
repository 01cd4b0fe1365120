"""Compiled kernels over Arrow buffers and token arrays. Plain arrays in, plain arrays out, no Python objects.

All of them release the interpreter lock and are called from a thread pool over disjoint ranges, so that the
result cannot depend on the number of threads. Compiled code is cached beside the module.

Does not cover: when to call them, and what their results mean (engine.py).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curate.dedupe.fold import WILDCARD

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_M1 = np.uint64(0xFF51AFD7ED558CCD)
_M2 = np.uint64(0xC4CEB9FE1A85EC53)
_G1 = np.uint64(0x9E3779B97F4A7C15)
_G2 = np.uint64(0xD6E8FEB86659FD93)
_G3 = np.uint64(0xA0761D6478BD642F)
_PAIR_1 = np.uint64(0x2545F4914F6CDD1D)
_PAIR_2 = np.uint64(0x589965CC75374CC3)
_S33 = np.uint64(33)
_S32 = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_LOW32 = np.uint64(0xFFFFFFFF)
WILDCARD_TOKEN = np.uint32(
    2
)  # even, so not a number; real tokens collide with it as rarely as with each other

MAX_FEATURES = 96  # per text; a fuller sample is thinned further
SPELLED = 10  # letters of a word kept for the test "is this a typing error of that"


@njit(cache=True, nogil=True)
def _mix(h):
    h ^= h >> _S33
    h *= _M1
    h ^= h >> _S33
    h *= _M2
    h ^= h >> _S33
    return h


@njit(cache=True, nogil=True)
def tokenise(
    data, offsets, bytes_of, kinds, fold_start, fold_len, fold_data,
    tokens, counts, hashes, spell, short_words,
):  # fmt: skip
    """Words of each text as 32-bit hashes (bit 0: begins with a digit), in one pass over the bytes.

    data uint8 and offsets int64[rows + 1] are an Arrow string column. Fills ``tokens`` (packed), ``counts``
    int32[rows], ``hashes`` uint64[rows] (of the whole word sequence) and ``spell`` (uint64 per word, first ten
    letters in 6 bits each and the length above, packed over texts of at most ``short_words`` words only).
    Returns (tokens written, spellings written), or (-1, 0) when ``tokens`` is too small.
    """
    rows = offsets.shape[0] - 1
    capacity = tokens.shape[0]
    at = 0
    spelled = 0
    for row in range(rows):
        begin = offsets[row]
        stop = offsets[row + 1]
        # a text of few words is nearly always short in bytes; the exact test follows below
        want = stop - begin <= short_words * 64
        first = at
        spell_first = spelled
        whole = _FNV_OFFSET
        h = _FNV_OFFSET
        length = 0
        number = np.uint32(0)
        letters = _ZERO
        was_wild = False
        i = begin
        while i <= stop:
            single = 0
            cp = -1
            if i == stop:
                byte = np.uint8(0)
                i += 1
            else:
                byte = bytes_of[data[i]]
                if byte > 3:  # the tight loop: most of the time of a run is spent here
                    if length == 0:
                        number = np.uint32(byte < 58)
                    run = i
                    while byte > 3:
                        h = (h ^ np.uint64(byte)) * _FNV_PRIME
                        i += 1
                        if i == stop:
                            break
                        byte = bytes_of[data[i]]
                    if want:
                        for k in range(run, min(i, run + SPELLED - length)):
                            letters |= np.uint64(_letter(bytes_of[data[k]])) << np.uint64(
                                6 * (length + k - run)
                            )
                    length += i - run
                    continue
                if byte == 3:
                    lead = data[i]
                    if lead < 0xE0:
                        cp = ((lead & 0x1F) << 6) | (data[i + 1] & 0x3F)
                        i += 2
                    elif lead < 0xF0:
                        cp = ((lead & 0x0F) << 12) | ((data[i + 1] & 0x3F) << 6) | (data[i + 2] & 0x3F)
                        i += 3
                    else:
                        cp = (
                            ((lead & 0x07) << 18) | ((data[i + 1] & 0x3F) << 12)
                            | ((data[i + 2] & 0x3F) << 6) | (data[i + 3] & 0x3F)
                        )  # fmt: skip
                        i += 4
                    kind = kinds[cp] if cp < kinds.shape[0] else 0
                    if kind == 1:
                        continue
                    if kind == 4:
                        for k in range(fold_start[cp], fold_start[cp] + fold_len[cp]):
                            folded = fold_data[k]
                            if length == 0:
                                number = np.uint32(folded < 58 and folded >= 48)
                            h = (h ^ np.uint64(folded)) * _FNV_PRIME
                            if want and length < SPELLED:
                                letters |= np.uint64(_letter(folded)) << np.uint64(6 * length)
                            length += 1
                        continue
                    single = 1 if kind == 2 else 0
                else:
                    i += 1
                    if byte == 1:
                        continue
                    single = 1 if byte == 2 else 0
            # a separator or a token of its own ends the current word
            if length > 0:
                if at >= capacity:
                    return -1, 0
                h = _mix(h)
                tokens[at] = np.uint32((h >> _S33) << _ONE) | number
                at += 1
                whole = (whole ^ h) * _FNV_PRIME
                if want:
                    if at - first <= short_words:
                        spell[spelled] = letters | (np.uint64(min(length, 15)) << np.uint64(60))
                        spelled += 1
                    letters = _ZERO
                h = _FNV_OFFSET
                length = 0
                was_wild = False
            if single == 1:
                if cp == WILDCARD:
                    if was_wild:
                        continue
                    was_wild = True
                    token = WILDCARD_TOKEN
                    mixed = np.uint64(WILDCARD)
                else:
                    was_wild = False
                    if cp < 0:
                        h = (h ^ np.uint64(data[i - 1])) * _FNV_PRIME
                    else:
                        for k in range(fold_start[cp], fold_start[cp] + fold_len[cp]):
                            h = (h ^ np.uint64(fold_data[k])) * _FNV_PRIME
                    mixed = _mix(h)
                    token = np.uint32((mixed >> _S33) << _ONE)
                    h = _FNV_OFFSET
                if at >= capacity:
                    return -1, 0
                tokens[at] = token
                at += 1
                whole = (whole ^ mixed) * _FNV_PRIME
                if want and at - first <= short_words:
                    spell[spelled] = _ZERO
                    spelled += 1
        counts[row] = at - first
        hashes[row] = _mix(whole)
        if at - first > short_words:
            spelled = spell_first
        elif not want:
            # few words, many bytes: very long words, of which nothing needs to be known
            for _ in range(at - first):
                spell[spelled] = _ZERO
                spelled += 1
    return at, spelled


@njit(cache=True, nogil=True)
def _letter(byte):
    if byte >= 97 and byte <= 122:
        return byte - 96
    if byte >= 48 and byte <= 57:
        return byte - 21
    if byte == 95:
        return 37
    return 38 + byte % 25


@njit(cache=True, nogil=True)
def sample(tokens, starts, counts, aim, pair_words, features, feature_counts):
    """Consistent sample of each text's shingles: uint64 hashes, ascending and distinct, packed in ``features``.

    Word 3-grams are kept when their hash is 0 modulo a power of two chosen by the length of the text, so two
    texts keep the same ones of those they share. Texts of at most ``pair_words`` words add all word pairs at
    distance one and two. ``features`` needs MAX_FEATURES places per text. Returns the number written.
    """
    at = 0
    buffer = np.empty(4 * MAX_FEATURES, dtype=np.uint64)
    for doc in range(starts.shape[0]):
        n = counts[doc]
        first = starts[doc]
        grams = n - 2
        every = 1
        while grams > aim * every:
            every *= 2
        kept = 0
        while True:
            kept = _sample_grams(tokens, first, n, np.uint64(every - 1), buffer)
            if kept < 0 or kept > MAX_FEATURES:
                every *= 2  # too many: thin out
                kept = -1
            if kept >= 0 and (every == 1 or kept >= 8):
                break
            if kept >= 0:
                # few distinct shingles (a text that repeats itself): look closer, if that does not overflow
                closer = _sample_grams(tokens, first, n, np.uint64(every // 2 - 1), buffer)
                if closer < 0 or closer > MAX_FEATURES:
                    kept = _sample_grams(tokens, first, n, np.uint64(every - 1), buffer)
                    break
                every //= 2
        if n <= pair_words:
            for i in range(first, first + n):
                if 2 * n <= pair_words:
                    buffer[kept] = _mix((np.uint64(tokens[i]) + _ONE) * _PAIR_1)
                    kept += 1
                for gap in range(1, 3):
                    if i + gap < first + n:
                        mixed = (np.uint64(tokens[i]) + _ONE) * _PAIR_1 + (
                            np.uint64(tokens[i + gap]) + _ONE
                        ) * _PAIR_2
                        buffer[kept] = _mix(mixed)
                        kept += 1
            kept = _distinct(buffer, kept)
            kept = min(kept, MAX_FEATURES)
        for i in range(kept):
            features[at + i] = buffer[i]
        feature_counts[doc] = kept
        at += kept
    return at


@njit(cache=True, nogil=True)
def _sample_grams(tokens, first, n, mask, buffer):
    kept = 0
    for i in range(first, first + n - 2):
        h = _mix(
            (np.uint64(tokens[i]) + _ONE) * _G1
            + (np.uint64(tokens[i + 1]) + _ONE) * _G2
            + (np.uint64(tokens[i + 2]) + _ONE) * _G3
        )
        if h & mask == _ZERO:
            if kept == buffer.shape[0]:
                kept = _distinct(buffer, kept)
                if kept > MAX_FEATURES:
                    return -1
            buffer[kept] = h
            kept += 1
    return _distinct(buffer, kept)


@njit(cache=True, nogil=True)
def _distinct(buffer, n):
    """Sort the first n places and drop repeats; the number left."""
    for i in range(1, n):
        value = buffer[i]
        j = i - 1
        while j >= 0 and buffer[j] > value:
            buffer[j + 1] = buffer[j]
            j -= 1
        buffer[j + 1] = value
    left = 0
    for i in range(n):
        if i == 0 or buffer[i] != buffer[left - 1]:
            buffer[left] = buffer[i]
            left += 1
    return left


@njit(cache=True, nogil=True)
def pack(features, feature_starts, low, high, keys):
    """keys[i] = upper half of feature i in the high bits, its text in the low ones, for texts low..high."""
    for doc in range(low, high):
        for i in range(feature_starts[doc], feature_starts[doc + 1]):
            keys[i] = (features[i] & ~_LOW32) | np.uint64(doc)


@njit(cache=True, nogil=True)
def group_census(keys, cap, sides, emitted, shared_rare, shared_crowded):
    """Walks groups of equal features: pairs each text will emit, and how many of its features sit in groups
    of 2..cap texts and in larger ones. ``sides`` uint8 per text (empty: one corpus, no sides)."""
    n = keys.shape[0]
    i = 0
    while i < n:
        head = keys[i] >> _S32
        j = i + 1
        while j < n and keys[j] >> _S32 == head:
            j += 1
        size = j - i
        if size > cap:
            for k in range(i, j):
                shared_crowded[keys[k] & _LOW32] += 1
        elif size > 1:
            for k in range(i, j):
                shared_rare[keys[k] & _LOW32] += 1
                emitted[keys[k] & _LOW32] += j - 1 - k
        i = j


@njit(cache=True, nogil=True)
def emit_pairs(keys, cap, sides, low, high, out):
    """All pairs (a < b) with low <= a < high sharing a feature of a group of 2..cap texts, once per feature."""
    n = keys.shape[0]
    at = 0
    i = 0
    two_sided = sides.shape[0] > 0
    while i < n:
        head = keys[i] >> _S32
        j = i + 1
        while j < n and keys[j] >> _S32 == head:
            j += 1
        if 1 < j - i <= cap:
            for k in range(i, j):
                a = keys[k] & _LOW32
                if a < low:
                    continue
                if a >= high:
                    break
                for m in range(k + 1, j):
                    b = keys[m] & _LOW32
                    if two_sided and sides[a] == sides[b]:
                        continue
                    out[at] = (a << _S32) | b
                    at += 1
        i = j
    return at


@njit(cache=True, nogil=True)
def count_pairs(ordered, feature_starts, min_shared, min_share, out):
    """Distinct pairs of a sorted list that occur often enough to be candidates. Returns how many."""
    n = ordered.shape[0]
    at = 0
    i = 0
    while i < n:
        j = i + 1
        while j < n and ordered[j] == ordered[i]:
            j += 1
        a = ordered[i] >> _S32
        b = ordered[i] & _LOW32
        smaller = min(feature_starts[a + 1] - feature_starts[a], feature_starts[b + 1] - feature_starts[b])
        if _enough(j - i, smaller, min_shared, min_share):
            out[at] = ordered[i]
            at += 1
        i = j
    return at


@njit(cache=True, nogil=True)
def _enough(shared, smaller, min_shared, min_share):
    least = 1 if smaller <= 5 else min_shared
    return shared >= least and shared >= min_share * smaller


@njit(cache=True, nogil=True)
def crowded_members(keys, cap, starved, rank_limit, out_group, out_doc):
    """Memberships (group number, text) of starved texts in their ``rank_limit`` smallest crowded groups."""
    n = keys.shape[0]
    docs = starved.shape[0]
    best = np.full((docs, rank_limit), np.int64(2**62), dtype=np.int64)
    i = 0
    while i < n:  # the smallest groups per text; ties by the feature hash, which is the order of the walk
        head = keys[i] >> _S32
        j = i + 1
        while j < n and keys[j] >> _S32 == head:
            j += 1
        if j - i > cap:
            for k in range(i, j):
                doc = np.int64(keys[k] & _LOW32)
                if starved[doc]:
                    value = np.int64(j - i) * np.int64(n) + np.int64(i)
                    for r in range(rank_limit):
                        if value < best[doc, r]:
                            for s in range(rank_limit - 1, r, -1):
                                best[doc, s] = best[doc, s - 1]
                            best[doc, r] = value
                            break
        i = j
    at = 0
    for member in range(docs):
        for r in range(rank_limit):
            if best[member, r] < np.int64(2**62):
                out_group[at] = best[member, r] % np.int64(n)
                out_doc[at] = member
                at += 1
    return at


@njit(cache=True, nogil=True)
def sketch_keys(groups, docs, features, feature_starts, out):
    """out[i] = smallest feature of text docs[i] under a permutation seeded by groups[i] (a one-value MinHash)."""
    for i in range(groups.shape[0]):
        seed = _mix(np.uint64(groups[i]) + _G1)
        least = np.uint64(0xFFFFFFFFFFFFFFFF)
        for k in range(feature_starts[docs[i]], feature_starts[docs[i] + 1]):
            value = _mix(features[k] ^ seed)
            if value < least:
                least = value
        out[i] = least


@njit(cache=True, nogil=True)
def neighbour_pairs(groups, docs, width, sides, features, feature_starts, min_shared, min_share, out):
    """Pairs of near neighbours within a group (arrays sorted by group, then sketch) whose samples overlap enough."""
    at = 0
    n = groups.shape[0]
    two_sided = sides.shape[0] > 0
    for i in range(n):
        j = i + 1
        while j < n and j <= i + width and groups[j] == groups[i]:
            a = min(docs[i], docs[j])
            b = max(docs[i], docs[j])
            if not (two_sided and sides[a] == sides[b]):
                shared = shared_features(features, feature_starts, a, b)
                smaller = min(
                    feature_starts[a + 1] - feature_starts[a], feature_starts[b + 1] - feature_starts[b]
                )
                if _enough(shared, smaller, min_shared, min_share):
                    out[at] = (np.uint64(a) << _S32) | np.uint64(b)
                    at += 1
            j += 1
    return at


@njit(cache=True, nogil=True)
def shared_features(features, feature_starts, a, b):
    """Size of the intersection of two ascending samples."""
    i = feature_starts[a]
    j = feature_starts[b]
    shared = 0
    while i < feature_starts[a + 1] and j < feature_starts[b + 1]:
        if features[i] == features[j]:
            shared += 1
            i += 1
            j += 1
        elif features[i] < features[j]:
            i += 1
        else:
            j += 1
    return shared


@njit(cache=True, nogil=True)
def union(left, right, parent):
    """Union by smallest member with path halving; parent int64 ends with each element's root."""
    for i in range(left.shape[0]):
        a = np.int64(left[i])
        b = np.int64(right[i])
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b
    for i in range(parent.shape[0]):
        root = i
        while parent[root] != root:
            root = parent[root]
        parent[i] = root
