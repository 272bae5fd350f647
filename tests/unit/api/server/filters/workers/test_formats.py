"""A ``format`` is enforced to the letter of its standard; unknown ones are refused."""

from typing import Any

import pytest

from api.server.filters.workers.formats import CHECKS
from api.server.filters.workers.schema import BadSchemaError, DocumentSchema

GOOD = {
    "date": ["2024-02-29", "0001-01-01"],
    "date-time": ["2024-01-01T00:00:00Z", "1985-04-12T23:20:50.52z", "1990-12-31t15:59:60-08:00",
                  "2024-06-30T23:59:60Z", "2024-01-01T00:00:00+14:00"],
    "time": ["08:30:06Z", "08:30:06.283185+00:20", "23:59:60Z", "00:29:60+00:30"],
    "duration": ["P4DT12H30M5S", "P1Y2M", "PT36H", "P2W", "P1M"],
    "email": ["joe.bloggs@example.com", "te~st@example.com", '"joe bloggs"@example.com',
              "joe@[127.0.0.1]", "joe@[IPv6:::1]", "a@b"],
    "idn-email": ["실례@실례.테스트"],
    "hostname": ["www.example.com", "xn--4gbwdl.xn--wgbh1c", "a", "1host", "a" * 63 + ".b"],
    "ipv4": ["192.168.0.1"],
    "ipv6": ["::", "::1", "12::12:1.2.3.4"],
    "uri": ["http://foo.bar/?baz=qux#quux", "urn:oasis:names:x", "mailto:a@b", "tel:+1-816-555",
            "ldap://[2001:db8::7]/c=GB?one", "http://u:p@x.test:8080/a%20b", "file:///etc"],
    "uri-reference": ["/abc", "//foo/bar", "#frag", "", "a/b?c", "http://x/"],
    "iri": ["http://ƒøø.ßår/?∂éœ=πîx#πîüx"],
    "iri-reference": ["/âππ", "#ƒrägmênt"],
    "uuid": ["2EB8AA08-aa98-11EA-B4Aa-73B441D16380"],
    "json-pointer": ["", "/foo//bar~0/baz~1/%a", "/"],
    "relative-json-pointer": ["1", "0/foo/bar", "2/0/baz/1", "0#"],
    "regex": [r"^(?<year>\d+)$", "([abc])+\\s+$"],
}  # fmt: skip
BAD = {
    "date": ["2023-02-29", "2024-1-1", "20240101", "2024-01-01\n", "٢٠٢٤-01-01", "2024-W01-1"],
    "date-time": ["2024-01-01", "2024-01-01T00:00:00", "2024-01-01T24:00:00Z",
                  "2024-01-01T00:00:00Z\n", "2024-01-01 00:00:00Z", "1998-12-31T23:58:60Z",
                  "1990-02-31T15:59:59Z", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:0٣Z"],
    "time": ["08:30:06", "8:30:06Z", "24:00:00Z", "08:30:06Z\n", "22:59:60Z", "08:30:06PST"],
    "duration": ["P", "PT", "PT1D", "P1", "4DT12H", "P1Y2W", "P1D2H", "PT36H\n", "P٣D", "P1.5D"],
    "email": ["@", "a@", "@b", "joe", "joe@x\n", "joe..b@x", ".joe@x", "joe@-x", "jö@x", "a b@c",
              "joe@[1.2.3]", "joe@[IPv6:1.2.3.4]"],
    "idn-email": ["실례", "@", "a@\n"],
    "hostname": ["-a", "a-", "a..b", "a_b", "a" * 64, "www.example.com\n", "", "a.", "é.com"],
    "ipv4": ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4\n", "1.2.3.٤", "1.2.3.4/8"],
    "ipv6": ["::1%eth0", "12345::", "::1\n", "1:2:3:4:5:6:7:8:9", "fe80::/64"],
    "uri": ["//foo/bar", "abc", ":// x", "http://a b", "http://x/\n", "\\\\WINDOWS", "http://x/%zz",
            "http:// x", "bar,baz:foo", "http://x/é", "http://x:80a/"],
    "uri-reference": ["\\\\WINDOWS", "a b", "/a\n", "#a\\b", "1:a"],
    "iri": ["âππ", "http://x y", "http://ƒ\n"],
    "iri-reference": ["\\\\WINDÖWS"],
    "uuid": ["2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08aa9811eab4aa73b441d16380",
             "2eb8aa08-aa98-11ea-b4aa-73b441d16380\n", "2eb8aa08-aa98-11ea-b4aa-73b441_16380",
             "{2eb8aa08-aa98-11ea-b4aa-73b441d16380}"],
    "json-pointer": ["foo", "/~", "/~2", "#/a"],
    "relative-json-pointer": ["/a", "-1/a", "01/a", "0##", "٣/a"],
    "regex": ["(", r"\Z", "(?P<a>b)"],
}  # fmt: skip


def find(name: str, value: object) -> list[dict[str, str]]:
    return DocumentSchema({"properties": {"a": {"format": name}}}).find_violations({"a": value})


def test_every_known_format_is_tried_here() -> None:
    assert set(GOOD) == set(BAD) == set(CHECKS)


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in GOOD.items() for t in texts])
def test_what_is_of_a_format_passes(name: str, text: str) -> None:
    assert find(name, text) == []


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in BAD.items() for t in texts])
def test_what_is_not_of_a_format_is_a_violation(name: str, text: str) -> None:
    [violation] = find(name, text)
    assert violation["pointer"] == "/a"
    assert f"is not a '{name}'" in violation["message"]


@pytest.mark.parametrize("value", [1, None, True, [], {}])
def test_only_strings_have_a_format(value: object) -> None:
    assert all(find(name, value) == [] for name in CHECKS)


PLACES: list[tuple[dict[str, Any], tuple[str | int, ...]]] = [
    ({"format": "datetime"}, ("format",)),
    ({"properties": {"a": {"format": "int32"}}}, ("properties", "a", "format")),
    ({"allOf": [{}, {"not": {"format": ""}}]}, ("allOf", 1, "not", "format")),
    ({"items": {"format": 7}}, ("items", "format")),
    ({"$defs": {"a": {"format": "Date"}}}, ("$defs", "a", "format")),
    ({"patternProperties": {"^a$": {"format": "x"}}}, ("patternProperties", "^a$", "format")),
    ({"$ref": "#/mine/a", "mine": {"a": {"format": "x"}}}, ("$ref", "format")),
]


@pytest.mark.parametrize(("schema", "path"), PLACES)
def test_an_unknown_format_is_refused_wherever_it_stands(
    schema: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(BadSchemaError) as caught:
        DocumentSchema(schema)
    assert caught.value.path == path
    if isinstance(schema.get("format", ""), str):
        assert "format" in caught.value.message or "type" in caught.value.message


def test_a_member_called_format_or_pattern_is_none() -> None:
    schema = DocumentSchema(
        {
            "properties": {"format": {"type": "string"}, "pattern": {"const": "("}},
            "const": {"format": "x", "pattern": "("},
            "default": {"format": "y"},
        }
    )
    assert schema.find_violations({"format": "x", "pattern": "("}) == []
