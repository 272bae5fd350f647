"""SHA-1 and MD5 written in jq itself, for the one place where no host can lend a hand.

jq has no bitwise operators. Words are numbers below 2**32, and a boolean function of
three words is looked up nibble by nibble in a table of 4,096 entries. A block of 64 bytes
costs about ten milliseconds, so this text serves only where the digest of a computed value
is asked for inside ``try`` (see ``dialect``).
"""

import json
import math
from collections.abc import Callable

_MASK = 0xF
_WORD = 1 << 32

_FUNCTIONS: dict[str, Callable[[int, int, int], int]] = {
    # RFC 3174 section 5 and RFC 1321 section 3.4, on nibbles
    "__ch": lambda x, y, z: (x & y) | (~x & _MASK & z),
    "__parity": lambda x, y, z: x ^ y ^ z,
    "__maj": lambda x, y, z: (x & y) | (x & z) | (y & z),
    "__gee": lambda x, y, z: (x & z) | (y & ~z & _MASK),
    "__eye": lambda x, y, z: y ^ (x | (~z & _MASK)),
}


def _table(function: Callable[[int, int, int], int]) -> str:
    cells = [function(i >> 8, (i >> 4) & _MASK, i & _MASK) for i in range(4096)]
    return json.dumps(cells, separators=(",", ":"))


def _lookup(name: str) -> str:
    """Return the definition of a three-word function: eight table look-ups."""
    # jq's % cuts both operands to integers, so no floor is needed before it
    terms = "+".join(
        f"$t[($x/{d}%16)*256+($y/{d}%16)*16+($z/{d}%16)]*{d}" for d in (16**i for i in range(8))
    )
    return f"def {name}($x;$y;$z): ${name} as $t | {terms};"


def _rotate(value: str, bits: int) -> str:
    low = 1 << (32 - bits)
    return f"({value}|(.%{low})*{1 << bits}+(./{low}|floor))"


_UTF8 = (
    "def __utf8: [explode[] | if . < 128 then . elif . < 2048 then (192+(./64|floor)),(128+.%64)"
    " elif . < 65536 then (224+(./4096|floor)),(128+(./64%64)),(128+.%64)"
    " else (240+(./262144|floor)),(128+(./4096%64)),(128+(./64%64)),(128+.%64) end];"
)
_HEX = (
    'def __hex: . as $b | "0123456789abcdef" as $d'
    " | [$b[] | $d[./16|floor:(./16|floor)+1], $d[.%16:.%16+1]] | add;"
)
_PAD = "def __pad: . + [128] + [range((119 - length % 64) % 64) | 0];"
_BIG = "[./16777216,./65536%256,./256%256,.%256] | map(floor)"
_LITTLE = "[.%256,./256%256,./65536%256,./16777216] | map(floor)"


def _sha1() -> str:
    step = (
        "if $i < 20 then [__ch($b;$c;$d), 1518500249]"
        " elif $i < 40 then [__parity($b;$c;$d), 1859775393]"
        " elif $i < 60 then [__maj($b;$c;$d), 2400959708]"
        " else [__parity($b;$c;$d), 3395469782] end"
    )
    return (
        "def __sha1: __utf8 as $u | ($u|length) as $n"
        f" | (($u|__pad) + ($n/536870912|floor|{_BIG}) + ($n*8%{_WORD}|{_BIG})) as $m"
        " | reduce range(0;$m|length;64) as $o"
        " ([1732584193,4023233417,2562383102,271733878,3285377520]; . as $h"
        " | (reduce range(16;80) as $i"
        " ([range($o;$o+64;4) as $j"
        " | $m[$j]*16777216+$m[$j+1]*65536+$m[$j+2]*256+$m[$j+3]];"
        " .[$i] = (__parity(__parity(.[$i-3];.[$i-8];.[$i-14]);.[$i-16];0)"
        f" | {_rotate('.', 1)}))) as $w"
        " | reduce range(80) as $i ($h; . as [$a,$b,$c,$d,$e]"
        f" | ({step}) as [$f,$k]"
        f" | [({_rotate('$a', 5)}+$f+$e+$k+$w[$i])%{_WORD},$a,{_rotate('$b', 30)},$c,$d])"
        f" | [.,$h] | transpose | map((.[0]+.[1])%{_WORD}))"
        f" | map({_BIG}) | add | __hex;"
    )


def _md5() -> str:
    sines = [int(abs(math.sin(i + 1)) * _WORD) for i in range(64)]
    turns = [7, 12, 17, 22] * 4 + [5, 9, 14, 20] * 4 + [4, 11, 16, 23] * 4 + [6, 10, 15, 21] * 4
    step = (
        "if $i < 16 then [__ch($b;$c;$d), $i]"
        " elif $i < 32 then [__gee($b;$c;$d), (5*$i+1)%16]"
        " elif $i < 48 then [__parity($b;$c;$d), (3*$i+5)%16]"
        " else [__eye($b;$c;$d), 7*$i%16] end"
    )
    return (
        "def __md5: __utf8 as $u | ($u|length) as $n"
        f" | {json.dumps(sines)} as $k | {json.dumps([1 << t for t in turns])} as $s"
        f" | (($u|__pad) + ($n*8%{_WORD}|{_LITTLE}) + ($n/536870912|floor|{_LITTLE})) as $m"
        " | reduce range(0;$m|length;64) as $o"
        " ([1732584193,4023233417,2562383102,271733878]; . as $h"
        " | [range($o;$o+64;4) as $j"
        " | $m[$j]+$m[$j+1]*256+$m[$j+2]*65536+$m[$j+3]*16777216] as $w"
        " | reduce range(64) as $i ($h; . as [$a,$b,$c,$d]"
        f" | ({step}) as [$f,$g] | ({_WORD}/$s[$i]) as $low"
        f" | (($a+$f+$k[$i]+$w[$g])%{_WORD}) as $x"
        f" | [$d,($b+($x%$low)*$s[$i]+($x/$low|floor))%{_WORD},$b,$c])"
        f" | [.,$h] | transpose | map((.[0]+.[1])%{_WORD}))"
        f" | map({_LITTLE}) | add | __hex;"
    )


_TEXT = (
    # as json.dumps(sort_keys=True, ensure_ascii=False): tojson escapes DEL, Python does not
    r'def __quoted: "\"" + (split("\u007f") | map(tojson[1:-1]) | join("\u007f")) + "\"";'
    ' def __json: if type == "string" then __quoted'
    ' elif type == "array" then "[" + (map(__json) | join(",")) + "]"'
    ' elif type == "object" then "{" + (to_entries | sort_by(.key)'
    ' | map((.key | __quoted) + ":" + (.value | __json)) | join(",")) + "}"'
    r' else tojson | ascii_downcase | sub("e-(?<d>.)$"; "e-0\(.d)") end;'
)


def define_digests() -> str:
    """Return one line of jq that defines ``__sha1``, ``__md5`` and ``__json``.

    The digests take a string and hash its UTF-8; ``__json`` is the text hashed for the rest.
    """
    tables = " ".join(f"{_table(f)} as ${name} |" for name, f in _FUNCTIONS.items())
    lookups = " ".join(_lookup(name) for name in _FUNCTIONS)
    return f"{tables} {lookups} {_UTF8} {_HEX} {_PAD} {_sha1()} {_md5()} {_TEXT}"
