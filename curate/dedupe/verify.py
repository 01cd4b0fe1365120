"""The decision about a candidate pair, compiled: covered passages for long texts, word alignment for short ones.

A similarity threshold cannot tell a heavily edited copy from another document on the same template; *where*
the words differ can. Edits are scattered, other substance comes in runs. So long texts are judged by runs of
words that lie in no word pair of the other text. In a short text a run is three words, so short pairs are
aligned and their edits are priced: an article is cheap, a typing error is cheap, a number or a question word is dear.

Does not cover: finding candidates (engine.py) and the alignment shown to people (align.py).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curate.dedupe.kernels import SPELLED, WILDCARD_TOKEN

GAP, COVERAGE, JACCARD, COST = 0, 1, 2, 3  # columns of the metrics array

_LETTER_S, _LAST_LETTER = 19, 26  # codes in packed spellings

_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_S29 = np.uint64(29)
_ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def _bigram(a, b):
    h = (np.uint64(a) + _ONE) * _P1 + (np.uint64(b) + _ONE) * _P2
    h ^= h >> _S29
    h *= _P2
    return h ^ (h >> _S29)


@njit(cache=True, nogil=True)
def verify(left, right, tokens, starts, counts, spell, spell_starts, light, strong, settings_int, metrics):
    """Metrics of candidate pairs; ``left`` should come in runs, for whose members one table is built.

    left, right: int64 text numbers; tokens/starts/counts and spell/spell_starts as the tokeniser packed them;
    light, strong: uint32 hash sets (power-of-two size, 0 is empty); settings_int: gap_words, edge_words, short_words.
    metrics float32[pairs, 4]: gap share, coverage of the better covered text, word-pair Jaccard, and the cost
    of the edits over what the length allows (NaN for long pairs, where only the first three decide).
    """
    gap_words = settings_int[0]
    edge_words = settings_int[1]
    short_words = settings_int[2]
    longest = 2
    for i in range(left.shape[0]):
        longest = max(longest, counts[left[i]], counts[right[i]])
    size = 16
    while size < 2 * longest:
        size *= 2
    table_key = np.zeros(size, dtype=np.uint64)
    table_stamp = np.zeros(size, dtype=np.int64)
    table_hit = np.zeros(size, dtype=np.int64)
    slot_of = np.zeros(longest + 1, dtype=np.int64)
    covered = np.zeros(longest + 2, dtype=np.uint8)
    score = np.zeros((short_words + 1, 2 * short_words + 1), dtype=np.float32)
    stamp = 0
    last = -1
    mask = np.uint64(15)
    distinct_a = 0
    for p in range(left.shape[0]):
        a = left[p]
        b = right[p]
        na = counts[a]
        nb = counts[b]
        shorter = min(na, nb)
        if shorter <= short_words:
            if max(na, nb) > min(2 * shorter + 4, 2 * short_words):
                metrics[p, GAP] = 1.0
                metrics[p, COVERAGE] = 0.0
                metrics[p, JACCARD] = 0.0
                metrics[p, COST] = np.inf
                continue
            if na <= nb:
                _short_pair(
                    tokens,
                    starts,
                    counts,
                    spell,
                    spell_starts,
                    light,
                    strong,
                    a,
                    b,
                    score,
                    short_words,
                    metrics,
                    p,
                )
            else:
                _short_pair(
                    tokens,
                    starts,
                    counts,
                    spell,
                    spell_starts,
                    light,
                    strong,
                    b,
                    a,
                    score,
                    short_words,
                    metrics,
                    p,
                )
            continue
        stamp += 1
        if a != last:
            # table of a's word pairs
            last = a
            table_size = 16
            while table_size < 2 * na:
                table_size *= 2
            mask = np.uint64(table_size - 1)
            build = stamp
            stamp += 1
            distinct_a = 0
            first = starts[a]
            for i in range(na - 1):
                h = _bigram(tokens[first + i], tokens[first + i + 1])
                slot = np.int64(h & mask)
                while table_stamp[slot] >= build and table_key[slot] != h:
                    slot = np.int64(np.uint64(slot + 1) & mask)
                if table_stamp[slot] < build:
                    table_stamp[slot] = build
                    table_key[slot] = h
                    table_hit[slot] = 0
                    distinct_a += 1
                slot_of[i] = slot
            table_build = build
        # b against the table
        first = starts[b]
        shared = 0
        distinct_b = 0
        covered[0] = 0
        for i in range(nb - 1):
            h = _bigram(tokens[first + i], tokens[first + i + 1])
            slot = np.int64(h & mask)
            while table_stamp[slot] >= table_build and table_key[slot] != h:
                slot = np.int64(np.uint64(slot + 1) & mask)
            covered[i + 1] = 0
            if table_stamp[slot] >= table_build:
                covered[i] = 1
                covered[i + 1] = 1
                if table_hit[slot] != stamp:
                    table_hit[slot] = stamp
                    shared += 1
                    distinct_b += 1
            else:
                distinct_b += 1  # repeats of foreign pairs count again: cheap, and repeats are rare
        cover_b, gap_b, front_b, back_b = _runs(covered, nb, gap_words)
        covered[0] = 0
        for i in range(na - 1):
            covered[i + 1] = 0
            if table_hit[slot_of[i]] == stamp:
                covered[i] = 1
                covered[i + 1] = 1
        cover_a, gap_a, front_a, back_a = _runs(covered, na, gap_words)
        extra_a, extra_b = _edges(front_a, front_b, edge_words, gap_words)
        gap_a += extra_a
        gap_b += extra_b
        extra_a, extra_b = _edges(back_a, back_b, edge_words, gap_words)
        gap_a += extra_a
        gap_b += extra_b
        share = max(gap_a / na, gap_b / nb)
        coverage = max(cover_a / na, cover_b / nb)
        if coverage >= 0.95 and min(gap_a, gap_b) == 0:
            share *= 0.5  # all of one text lies in the other: what is added replaces nothing, and counts half
        metrics[p, GAP] = share
        metrics[p, COVERAGE] = coverage
        metrics[p, JACCARD] = shared / (distinct_a + distinct_b - shared)
        metrics[p, COST] = np.nan


@njit(cache=True, nogil=True)
def _runs(covered, n, gap_words):
    """(covered words, words in uncovered interior runs >= gap_words, uncovered words in front, and behind)

    One word pair alone between uncovered words is chance ("of the") and does not end a run.
    """
    total = 0
    gap = 0
    run = 0
    front = -1
    for i in range(n):
        if covered[i] and run >= 2:
            k = i + 1
            while k < n and k - i < 3 and covered[k]:
                k += 1
            if k - i < 3 and k + 1 < n and not covered[k] and not covered[k + 1]:
                covered[i:k] = 0
        if covered[i]:
            total += 1
            if front < 0:
                front = run
            elif run >= gap_words:
                gap += run
            run = 0
        else:
            run += 1
    if front < 0:
        return total, n, 0, 0
    return total, gap, front, run


@njit(cache=True, nogil=True)
def _edges(a, b, edge_words, gap_words):
    """Words at one edge that count as other substance. Both sides differ: one text replaces the other.
    Only one has something there: an addition, free up to ``edge_words``."""
    if a >= gap_words and b >= gap_words:
        return a, b
    return max(0, a - edge_words), max(0, b - edge_words)


@njit(cache=True, nogil=True)
def contains(table, token):
    """Is the token in the open-addressed set ``table``?"""
    mask = np.uint32(table.shape[0] - 1)
    slot = (token >> np.uint32(1)) & mask
    while table[slot] != 0:
        if table[slot] == token:
            return True
        slot = (slot + np.uint32(1)) & mask
    return False


@njit(cache=True, nogil=True)
def typing_error(a, b):
    """Do two packed spellings differ by one letter added or left out or two swapped (five letters or more), one
    letter changed (seven or more, since short words so related are mostly different words), or a final s?
    The first letter must agree; letters after the tenth are not looked at."""
    len_a = np.int64(a >> np.uint64(60))
    len_b = np.int64(b >> np.uint64(60))
    shorter = min(len_a, len_b)
    if a == 0 or b == 0 or _spelled(a, 0) != _spelled(b, 0) or abs(len_a - len_b) > 1:
        return False
    kept = min(shorter, np.int64(SPELLED))
    same = np.int64(0)
    while same < kept and _spelled(a, same) == _spelled(b, same):
        same += 1
    if same == np.int64(SPELLED):
        return True
    longer = a if len_a > len_b else b
    if shorter >= 3 and len_a != len_b and same == kept and _spelled(longer, same) == _LETTER_S:
        return True
    if shorter < 5 or _spelled(a, same) > _LAST_LETTER or _spelled(b, same) > _LAST_LETTER:
        return False
    if len_a != len_b:
        other = b if len_a > len_b else a
        return _same_tail(longer, same + 1, other, same)
    if _spelled(a, same) == _spelled(b, same + 1) and _spelled(a, same + 1) == _spelled(b, same):
        return _same_tail(a, same + 2, b, same + 2)
    return shorter >= 7 and _same_tail(a, same + 1, b, same + 1)


@njit(cache=True, nogil=True)
def _same_tail(a, i, b, j):
    """Do the letters kept of a from i on equal those of b from j on?"""
    while i < SPELLED and j < SPELLED:
        if _spelled(a, i) != _spelled(b, j):
            return False
        i += 1
        j += 1
    return True


@njit(cache=True, nogil=True)
def _spelled(word, i):
    return np.int64((word >> np.uint64(6 * i)) & np.uint64(63))


@njit(cache=True, nogil=True)
def budget(n):
    """Cost of edits that a text of n words may carry and still be the same text."""
    if n < 4:
        return 0.35
    if n < 8:
        return 0.5
    if n < 12:
        return 0.9
    if n < 15:
        return 1.6
    return 0.2 * n


@njit(cache=True, nogil=True)
def _short_pair(
    tokens, starts, counts, spell, spell_starts, light, strong, a, b, score, short_words, metrics, p
):
    """Aligns a (the shorter) with b and prices the edits between matched words."""
    na = counts[a]
    nb = counts[b]
    sa = starts[a]
    sb = starts[b]
    spelled = nb <= short_words
    weight_a = np.empty(na, dtype=np.float32)
    weight_b = np.empty(nb, dtype=np.float32)
    for i in range(na):
        weight_a[i] = _weight(tokens[sa + i], light, strong)
    for j in range(nb):
        weight_b[j] = _weight(tokens[sb + j], light, strong)
    for j in range(nb + 1):
        score[0, j] = 0.0
    for i in range(1, na + 1):
        score[i, 0] = 0.0
        for j in range(1, nb + 1):
            best = max(score[i - 1, j], score[i, j - 1])
            gain = _gain(tokens, spell, spell_starts, a, b, sa, sb, i - 1, j - 1, weight_a, weight_b, spelled)
            if gain > 0.0:
                best = max(best, score[i - 1, j - 1] + gain)
            score[i, j] = best
    # back from the end: price each stretch between two matches
    i = na
    j = nb
    cost = 0.0
    matched = 0.0
    same = 0
    blocked = False
    heavy_a = 0.0
    heavy_b = 0.0
    light_words = 0
    run_a = 0
    run_b = 0
    at_end = True
    block = 3 if na < 30 else 4
    while True:
        gain = np.float32(0.0)
        if i > 0 and j > 0:
            gain = _gain(tokens, spell, spell_starts, a, b, sa, sb, i - 1, j - 1, weight_a, weight_b, spelled)
        finished = i == 0 and j == 0
        if finished or (gain > 0.0 and score[i, j] == score[i - 1, j - 1] + gain):
            at_start = finished
            if heavy_a > 0 and heavy_b > 0:
                cost += max(heavy_a, heavy_b)
                if run_a >= block and run_b >= block:
                    blocked = True
            else:
                added = heavy_a + heavy_b
                if at_start:
                    cost += (0.4 if na < 8 else 0.3) * added
                else:
                    cost += 0.75 * added
                if run_a + run_b >= 8 and not at_start and not at_end:
                    blocked = True
            cost += 0.08 * light_words
            heavy_a = 0.0
            heavy_b = 0.0
            light_words = 0
            run_a = 0
            run_b = 0
            at_end = False
            if finished:
                break
            if tokens[sa + i - 1] != tokens[sb + j - 1]:
                cost += 0.2
            else:
                same += 1
            if weight_a[i - 1] >= 1.0:
                matched += 1.0
            i -= 1
            j -= 1
        elif i > 0 and (j == 0 or score[i, j] == score[i - 1, j]):
            i -= 1
            run_a += 1
            if weight_a[i] >= 1.0:
                heavy_a += weight_a[i]
            else:
                light_words += 1
        else:
            j -= 1
            run_b += 1
            if weight_b[j] >= 1.0:
                heavy_b += weight_b[j]
            else:
                light_words += 1
    metrics[p, GAP] = 0.0
    metrics[p, COVERAGE] = same / na
    metrics[p, JACCARD] = same / (na + nb - same)
    if matched < 1.0 or blocked:
        metrics[p, COST] = np.inf
    else:
        metrics[p, COST] = cost / budget(na)


@njit(cache=True, nogil=True)
def _weight(token, light, strong):
    if token == WILDCARD_TOKEN:
        return np.float32(0.2)
    if token & np.uint32(1) or contains(strong, token):
        return np.float32(1.5)
    if contains(light, token):
        return np.float32(0.2)
    return np.float32(1.0)


@njit(cache=True, nogil=True)
def _gain(tokens, spell, spell_starts, a, b, sa, sb, i, j, weight_a, weight_b, spelled):
    if tokens[sa + i] == tokens[sb + j]:
        return weight_a[i]
    both_heavy = weight_a[i] == 1.0 and weight_b[j] == 1.0
    if spelled and both_heavy and typing_error(spell[spell_starts[a] + i], spell[spell_starts[b] + j]):
        return np.float32(0.7)
    return np.float32(0.0)
