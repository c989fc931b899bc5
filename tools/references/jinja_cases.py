#!/usr/bin/env python3
"""Writes tests/golden/jinja/*.jsonl: templates with what jinja2 renders, one feature a file."""
import json
import sys

from jinja_reference import render

VARIABLES = {
    "a": 7, "b": -3, "f": 2.5, "s": "Hello, World", "u": "Grüße, 世界! 😀", "t": True, "n": None,
    "l": [3, 1, 2], "e": [], "d": {"x": 1, "y": {"z": [10, 20]}, "items": "shadow"},
    "words": ["pear", "Apple", "fig", "apple"],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi\nthere", "meta": {"id": 1}},
        {"role": "assistant", "content": None,
         "tool_calls": [{"function": {"name": "f", "arguments": {"q": "a\"b", "n": 1.0}}}]},
        {"role": "tool", "content": "{\"ok\": true}"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image"}]},
    ],
    "people": [{"name": "Zoe", "age": 30, "tags": ["x"]}, {"name": "adam", "age": 25, "tags": []},
               {"name": "Bob", "age": 30, "tags": ["y", "z"]}],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]},
             {"v": 5, "kids": []}],
    "big": 18446744073709551615,
}

CASES = {}

CASES["whitespace"] = r"""
a {%- if t %} b {%- endif %} c
  {% if t %}
x
  {% endif %}
y
=====
  {%+ if t %}
x
  {%+ endif %}
y
=====
{% if t +%}
x
{% endif %}
=====
a
{#- c -#}
b
=====
a
  {# c #}
b
=====
a  {# c #}  b
=====
{{- a -}}  x  {{- b -}}
=====
{% for i in l %}
  {{ i }}
{% endfor %}
end
=====
{%- for i in l -%}
  {{ i }}
{%- endfor -%}
=====
{% raw %}{{ x }}{% endraw %}
=====
  {% raw %}
  {{ x }}
  {% endraw %}
z
=====
a {%- raw -%}  {{ x }}  {%- endraw -%} b
=====
{% raw %} {% if %} {# {% endraw +%}
x
=====
x	{% if t %}	y	{% endif %}
=====
{{ "a" }}
{{ "b" }}

=====
line1{% set x = 1 %}
line2
=====
{% set x = 1 -%}

  z
=====
   {%- set x = 1 %}   z
=====
a{{+ 1 }}b{{- 2 }}c
=====
{{ -1 }}|{{-1}}|{{ - 1 }}
=====
{# multi
line #}x
=====
{#-#}y{#+#}
=====
a
{% if t -%}
   b
{%- endif %}
c
=====
{ { % } } # {a} {%
=====
{{ 'a%}b' }}{{ "}}" }}{{ '{{' }}
=====
{{ {'a': {'b': 1}}}}
=====
{{ {'a': {'b': 1}}['a']['b']}}
"""

CASES["literals"] = r"""
{{ 1 }} {{ 1_000 }} {{ 0x1f }} {{ 0o17 }} {{ 0b101 }} {{ 00 }} {{ 1.5 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 1E+20 }}
=====
{{ 'a' "b" 'c' }} {{ 'it\'s' }} {{ "q\"q" }} {{ 'a\\b' }} {{ 'tab\tx' }} {{ 'nl\nx' }} {{ '\x41\u00e9\U0001F600' }} {{ '\101' }} {{ '\q' }}
=====
{{ true }} {{ True }} {{ false }} {{ False }} {{ none }} {{ None }}
=====
{{ [] }} {{ [1, 'a', 2.0, none, true] }} {{ [1,] }} {{ {} }} {{ {'a': 1, 2: 'b', none: [1]} }} {{ () }} {{ (1,) }} {{ (1, 2) }} {{ 1, 2 }}
=====
{{ ["it's", 'say "x"', 'both \' "', 'back\\slash', 'nl\n\r\t', '\x00\x1f\x7f', 'é😀', '\u200b\ud7ff'] }}
=====
{{ 1.0 }} {{ 0.1 }} {{ 100000000000000000.0 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789012345.6 }} {{ 1e-4 }} {{ 1e-5 }} {{ 3.14159265358979 }} {{ 1e22 }} {{ 2.5e-10 }}
=====
{{ 1e400 }} {{ -1e400 }} {{ 1e-400 }}
=====
{{ big }} {{ big + 1 }} {{ 9223372036854775807 + 1 }}
=====
{{ 'a
b' }}
=====
{{ {'a': 1}.a }} {{ {1: 'x'}[1] }} {{ {1.0: 'x'}[1] }} {{ {true: 'x'}[1] }} {{ {(1, 2): 'y'}[(1, 2)] }}
=====
{{ {(1, 2): 'y'}[1, 2] }} {{ l[1, 2] }}|
=====
{{ l.0 }} {{ l[0] }} {{ d.y.z.1 }}
=====
{{ {'a': 1, 'a': 2} }}
"""

CASES["operators"] = r"""
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 // -2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 7 / 2 }} {{ 6 / 2 }}
=====
{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2.0 ** 0.5 }} {{ 0 ** 0 }}
=====
{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 1 - 2 - 3 }} {{ 2 * 3 % 4 }}
=====
{{ 'a' + 'b' }} {{ 'a' ~ 1 ~ 2.0 ~ none ~ [1] }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] + [2] }} {{ [1] * 3 }} {{ (1,) + (2,) }} {{ 'a' * -1 }}|
=====
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 != 1 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) == [1, 2] }} {{ none == none }} {{ 'é' > 'z' }}
=====
{{ 1 in [1, 2] }} {{ 'x' in d }} {{ 'ell' in s }} {{ 3 not in l }} {{ not 1 in [1] }} {{ 'z' not in d.y }} {{ '' in '' }} {{ 1.0 in [1] }}
=====
{{ 0 or 'x' }} {{ '' or none }} {{ 1 and 2 }} {{ 0 and 2 }} {{ not 0 }} {{ not not 1 }} {{ none or [] or 'end' }} {{ 1 or nothing.x }}
=====
{{ 'x' if t else 'y' }} {{ 'x' if n }}| {{ 'a' if n else 'b' if t else 'c' }} {{ ('x' if n) is defined }}
=====
{{ -a }} {{ +a }} {{ - -a }} {{ -f }} {{ -a | abs }} {{ (-a) | abs }} {{ +t }} {{ -t }}
=====
{{ a ~ b * 2 }} {{ 1 + 2 ~ 3 }} {{ 'a' ~ 1 + 2 }} {{ 2 * 3 ~ 4 }}
=====
{{ not a == 7 }} {{ a == 7 and b == -3 or false }} {{ a is odd and b is odd }} {{ not a is even }}
=====
{{ 1 + a is odd }}
=====
{{ 5 | string + '!' }} {{ s | length + 1 }} {{ s | length * 2 }} {{ -3 | abs + 1 }}
=====
{{ 1 + 'a' }}
=====
{{ 'a' + 1 }}
=====
{{ 1 / 0 }}
=====
{{ 1 % 0 }}
=====
{{ 1.0 // 0 }}
=====
{{ 1 < 'a' }}
=====
{{ none < 1 }}
=====
{{ 1 in 2 }}
=====
{{ 1 in 'a' }}
=====
{{ [] in {} }}
=====
{{ {} + {} }}
=====
{{ true + true }} {{ true * 3 }} {{ 1.5 + 1 }} {{ 0.1 + 0.2 }} {{ 1e308 * 10 }} {{ 10 ** 20 }} {{ 1 / 3 }} {{ 2 / 3.0 }}
=====
{{ 5 // 2.0 }} {{ -5 // 2.0 }} {{ 5.5 % -2 }} {{ -0.0 }} {{ 0.0 * -1 }}
=====
{{ '%s is %d years, %.2f%% %5s|%-5s|%05d|%x|%X|%o|%e|%g|%r|%c' % ('Bob', 42, 99.5, 'a', 'b', 42, 255, 255, 8, 12345.678, 0.0001, 'q', 65) }}
=====
{{ '%(a)s-%(b)03d' % {'a': 'x', 'b': 7} }} {{ '%s' % none }} {{ '%s' % [1] }} {{ '%5.1f|%+d|% d|%#x' % (3.14159, 5, 5, 255) }} {{ '%*d' % (5, 42) }} {{ '%.3s' % 'abcdef' }}
=====
{{ '%d' % 'a' }}
=====
{{ '%s %s' % 'a' }}
=====
{{ '%s' % ('a', 'b') }}
=====
{{ '%d' % 3.99 }} {{ '%i' % -3.99 }} {{ '%s %%' % 1 }} {{ '%%' % () }}
"""

CASES["access"] = r"""
{{ d.x }} {{ d['x'] }} {{ d.y.z[0] }} {{ d['y']['z'][-1] }} {{ d.missing }}| {{ d['missing'] }}| {{ d.missing is defined }}
=====
{{ d['items'] }} {{ d.items is callable }} {{ d.y['items'] is defined }} {{ d.y['nope'] is defined }} {{ d.get('items') }}
=====
{{ d.missing.more }}
=====
{{ d['missing']['more'] }}
=====
{{ nothing }}| {{ nothing.x }}
=====
{{ nothing is defined }} {{ nothing == none }} {{ nothing == nothing2 }} {{ [nothing] }} {{ nothing | length }} {{ nothing or 'x' }} {{ nothing ~ 'a' }} {{ nothing | list }} {{ nothing | string }}|
=====
{{ nothing + 1 }}
=====
{{ nothing() }}
=====
{{ nothing < 1 }}
=====
{{ -nothing }}
=====
{{ nothing | tojson }}
=====
{{ n.x }}| {{ n.x is defined }} {{ (5).x }}| {{ n['x'] }}| {{ s.nope }}| {{ l.nope }}| {{ l['x'] }}| {{ l[99] }}| {{ s[99] }}| {{ l[1.5] }}|
=====
{{ n.x.y }}
=====
{% for x in nothing %}{{ x }}{% else %}none{% endfor %}{% for x in n %}{% endfor %}
=====
{{ l[0] }}{{ l[-1] }} {{ s[0] }}{{ s[-1] }} {{ u[3] }}{{ u[7] }}{{ u[-1] }} {{ l[true] }} {{ (1, 2)[1] }}
=====
{{ l[1:] }} {{ l[:1] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[::2] }} {{ l[-2:] }} {{ l[5:] }} {{ l[2:1] }} {{ s[1:4] }} {{ u[2:8] }} {{ u[::-1] }} {{ s[::3] }} {{ s[-5:-1] }} {{ s[10:2:-2] }} {{ l[none:2] }} {{ l[:99] }} {{ l[-99:] }} {{ (1,2,3)[1:] }}
=====
{{ l[::0] }}
=====
{{ d[1:] }}|
=====
{{ n[1:] }}|
=====
{{ nothing[1:] }}
=====
{{ l['x':] }}
=====
{{ range(10)[2] }} {{ range(10)[2:5] | list }} {{ range(3) }} {{ range(1, 5, 2) }} {{ range(5, 0, -2) | list }} {{ range(0) | list }}
=====
{{ s.__class__ }}| {{ s._private }}|
=====
{{ l.append(1) }}
=====
{{ l.append is defined }} {{ d.update is defined }} {{ d.pop is defined }} {{ l.sort is defined }} {{ l.copy() }} {{ d.y.copy() }}
=====
{{ d.update({'a': 1}) }}
=====
{{ l.index(1) }} {{ l.count(3) }} {{ (1, 2, 1).count(1) }} {{ (1, 2).index(2) }} {{ range(3).index(1) }}
=====
{{ l.index(99) }}
=====
{{ d.keys() | list }} {{ d.y.values() }} {{ d.y.items() }} {{ d.y.keys() }} {{ 'x' in d.keys() }} {{ 1 in d.values() }} {{ d.keys() | length }} {{ d.y.items() | list }}
=====
{{ d.get('x') }} {{ d.get('nope') }} {{ d.get('nope', 5) }} {{ d.get('nope', default=5) if false else 'k' }}
=====
{% for k, v in d.y.items() %}{{ k }}={{ v }}{% endfor %}
=====
{{ (1.5).is_integer() }} {{ (2.0).is_integer() }} {{ (5).bit_length() }}
=====
{{ messages[1].content }} {{ messages[1]['meta'].id }} {{ messages[-1].content[0].text }} {{ messages[2].tool_calls[0].function.arguments.q }}
"""

CASES["strings"] = r"""
{{ '  a b  '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}|{{ 'abcba'.rstrip('ab') }}|{{ '\n x \t'.strip() }}|{{ '\u00a0\u2003x\u3000'.strip() }}|{{ 'x'.strip(none) }}
=====
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b  c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a b c'.split(maxsplit=1) }} {{ ' a b  c '.split(none, 0) }} {{ 'aXXbXXc'.split('XX') }} {{ ' a  b  c '.rsplit(none, 0) }}
=====
{{ 'a\nb\r\nc\rd\x0be\x85f\u2028g\n'.splitlines() }} {{ 'a\nb\n'.splitlines(true) }} {{ ''.splitlines() }} {{ '\n\n'.splitlines() }}
=====
{{ s.startswith('Hell') }} {{ s.startswith(('x', 'H')) }} {{ s.endswith('ld') }} {{ s.endswith('x') }} {{ s.startswith('World', 7) }} {{ s.startswith('') }} {{ s.endswith('lo', 0, 5) }} {{ s.startswith('', 99) }}
=====
{{ s.upper() }} {{ s.lower() }} {{ s.title() }} {{ s.capitalize() }} {{ s.swapcase() }} {{ 'they\'re bill\'s'.title() }} {{ 'ÀÉÎ ß ŉ ΑΣ Σ'.lower() }} {{ 'straße ﬁ ǆ ŉ'.upper() }} {{ 'ǆ ﬁx ßa'.title() }} {{ 'STRASSE ß'.casefold() }} {{ 'ßabc'.capitalize() }} {{ 'İ'.lower() | length }}
=====
{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ 'ab'.replace('', '-') }} {{ 'ab'.replace('', '-', 2) }} {{ ''.replace('', 'x') }} {{ 'aaa'.replace('aa', 'b') }} {{ 'é日'.replace('', '.') }}
=====
{{ s.find('o') }} {{ s.find('z') }} {{ s.rfind('o') }} {{ s.find('o', 5) }} {{ s.find('o', 0, 3) }} {{ s.index('W') }} {{ s.rindex('l') }} {{ s.count('l') }} {{ s.count('') }} {{ 'aaaa'.count('aa') }} {{ u.find('界') }} {{ u.count('', 3) }} {{ s.find('', 99) }} {{ s.count('l', -3) }}
=====
{{ s.index('zzz') }}
=====
{{ '-'.join(['a', 'b']) }} {{ ''.join('abc') }} {{ ', '.join(d) }} {{ '-'.join([]) }}| {{ '-'.join(words | map('upper')) }}
=====
{{ '-'.join([1, 2]) }}
=====
{{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ ' '.isspace() }} {{ ''.isspace() }} {{ 'a'.islower() }} {{ 'A1'.isupper() }} {{ 'Ab Cd'.istitle() }} {{ 'aB'.istitle() }} {{ 'a_1'.isidentifier() }} {{ '1a'.isidentifier() }} {{ 'a\n'.isprintable() }} {{ 'é'.isascii() }} {{ '1'.islower() }}
=====
{{ 'a'.center(5) }}|{{ 'ab'.center(5, '*') }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}|{{ '42'.zfill(5) }}|{{ '-42'.zfill(5) }}|{{ 'ab'.center(1) }}|{{ 'abc'.center(6, 'é') }}|{{ '+'.zfill(3) }}
=====
{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }} {{ 'x'.removesuffix('') }} {{ 'a\tb'.expandtabs(4) }} {{ 'a\tb\n\tc'.expandtabs() }}
=====
{{ '{} {}'.format(1, 'a') }} {{ '{1} {0}'.format('a', 'b') }} {{ '{x}-{y}'.format(x=1, y=[2]) }} {{ '{0.x} {0[x]}'.format(d) }} {{ '{{}}'.format() }} {{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd') }} {{ '{!r} {!s}'.format('a', 'b') }}
=====
{{ '{:d} {:5d} {:05d} {:+d} {:x} {:#x} {:b} {:o} {:,} {:_}'.format(42, 42, 42, 42, 255, 255, 5, 8, 1234567, 1234567) }} {{ '{:.2f} {:8.3f} {:e} {:g} {:%} {:.1%} {:,.2f}'.format(3.14159, 2.71828, 12345.678, 0.00001234, 0.5, 0.256, 1234567.891) }} {{ '{} {:.3} {}'.format(1.0, 3.14159, true) }} {{ '{:{}}|{:{w}}'.format('a', 5, 'b', w=3) }}
=====
{{ '{:<6}|{:>6}|{:^6}|{:=6}|{:=+6}'.format(42, 42, 42, -42, 42) }} {{ '{:c}{:X}'.format(65, 255) }} {{ '{:06.2f}|{:+.1e}|{:G}'.format(-1.5, 12345.0, 1e-10) }} {{ '{:.0f} {:.1f} {:.2f}'.format(2.5, 0.25, 1.005) }} {{ '{:010,}'.format(1234567) }} {{ '{:.5}|{:3}|'.format('abcdefgh', 'abcdef') }} {{ '{:5}|{:<5}|'.format(true, false) }}
=====
{{ '{:#.0f}|{:#.0e}|{:#.3g}|{:#g}|{:#.0%}|{:+#08.0G}'.format(2.0, 2.5, 100.0, 1e16, 0.5, 123456.789) }} {{ '%#.0f|%#g|%#.2G' % (2.5, 100.0, 1e20) }}
=====
{{ '{}'.format() }}
=====
{{ '{x}'.format(y=1) }}
=====
{{ '{'.format(1) }}
=====
{{ '{:d}'.format('a') }}
=====
{{ '{:5}'.format(none) }}
=====
{{ '{0} {}'.format(1, 2) }}
=====
{{ '{a}'.format_map({'a': 1}) }}
=====
{{ u.upper() }} {{ u | length }} {{ u | list }} {{ u[::2] }} {{ u.split('，') }}
=====
{{ 'a'.nope }}| {{ 'a'.nope is defined }} {{ 'a'.upper is callable }}
=====
{{ 'a'.nope() }}
=====
{{ s.split('') }}
"""

CASES["filters_text"] = r"""
{{ ' x ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ s | upper }}|{{ s | lower }}|{{ 'hELLO wORLD' | title }}|{{ 'hELLO' | capitalize }}|{{ "it's o-k (yes) {no} <x>" | title }}
=====
{{ s | replace('l', 'L') }} {{ s | replace('l', 'L', 2) }} {{ 5 | replace(5, 6) }} {{ 'aaa' | replace('a', '') }}|
=====
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb\n' | indent('> ') }}|{{ 'a\nb' | indent(width=1, first=True) }}|{{ '' | indent(3, true) }}|
=====
{{ '<a href="x">\'&' | e }} {{ '<a>' | escape }} {{ '<a>' | safe }} {{ '<a>' | escape | escape }} {{ '<a>' | escape | forceescape }} {{ '<b>' | e + '<i>' }} {{ '<b>' | safe + '<i>' }} {{ ('<b>' | e) ~ '<i>' }} {{ '<b>' | safe | upper }} {{ [1, '<'] | e }} {{ ['<' | e] }}
=====
{{ ('<b>' | safe) * 2 }} {{ ('%s' | safe) % '<' }} {{ ('{}' | safe).format('<') }} {{ (',' | safe).join(['<', '>']) }} {{ ('<x>' | safe)[0:2] + '<' }} {{ ('a' | safe).replace('a', '<') }} {{ ('<' | safe).strip() + '>' }} {{ ('<' | safe) is escaped }} {{ '<' is escaped }}
=====
{{ 5 | string }} {{ none | string }} {{ [1] | string }} {{ 'a' | string }} {{ 1.0 | string | length }}
=====
{{ '<p>Hello <b>big</b>  <!-- no --> world &amp; &lt;x&gt;</p>' | striptags }} {{ 'a < b' | striptags }}
=====
{{ 'hello big wide world' | wordcount }} {{ '' | wordcount }} {{ 'a-b c_d é' | wordcount }}
=====
[{{ 'x' | center(7) }}] [{{ 'ab' | center(5) }}] [{{ 'abc' | center(1) }}]
=====
{{ '%s, %s!' | format('a', 'b') }} {{ '%(x)s' | format(x=3) }} {{ '%05.1f' | format(3.14159) }} {{ 'plain' | format }}
=====
{{ 'a b&c/d?é' | urlencode }} {{ {'a b': 1, 'c': 'x/y&'} | urlencode }} {{ [('k', 'v w')] | urlencode }} {{ 5 | urlencode }} {{ "~_-.'()*!" | urlencode }}
=====
{{ 'foo bar baz qux' | truncate(9) }}|{{ 'foo bar baz qux' | truncate(9, true) }}|{{ 'foo bar baz qux' | truncate(11) }}|{{ 'foo bar baz qux' | truncate(11, false, '...', 0) }}|{{ 'foobarbaz' | truncate(5, leeway=0) }}|{{ u | truncate(6, true, '…', 0) }}|{{ 'a' * 300 | int }}
=====
{{ 'a b' | truncate(2) }}
=====
{{ 'The quick brown fox jumps over the lazy dog' | wordwrap(15) }}
=====
{{ 'aaaaaaaaaaaaaaaaaaaa bb' | wordwrap(8) }}|{{ 'aaaaaaaaaaaaaaaaaaaa bb' | wordwrap(8, false) }}|{{ 'well-known half-baked ideas' | wordwrap(10) }}|{{ 'well-known half-baked ideas' | wordwrap(10, break_on_hyphens=false) }}|{{ 'a b c d e f' | wordwrap(3, wrapstring='/') }}|{{ 'one two\n\n  three   four five' | wordwrap(9) }}
=====
{{ {'class': 'a b', 'id': 5, 'x': none, 'y': '<"'} | xmlattr }}|{{ {} | xmlattr }}|{{ {'a': 1} | xmlattr(false) }}
=====
{{ 1 | filesizeformat }} {{ 999 | filesizeformat }} {{ 1000 | filesizeformat }} {{ 1024 | filesizeformat(true) }} {{ 123456789 | filesizeformat }} {{ 1e30 | filesizeformat }}
=====
{{ none | upper }} {{ 5 | lower }} {{ 1.5 | title }} {{ true | capitalize }} {{ [1] | upper }} {{ nothing | upper }}|{{ nothing | trim }}|
=====
{% filter upper %}abc {{ s }}{% endfilter %} {% filter replace('a', 'b') | indent(2) %}a
a{% endfilter %}
=====
{{ 'abc' | reverse }} {{ u | reverse }} {{ s | first }} {{ s | last }} {{ '' | first }}| {{ u | last }}
"""

CASES["filters_sequence"] = r"""
{{ l | sort }} {{ l | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ words | sort(true) }} {{ people | sort(attribute='age') | map(attribute='name') | join(',') }} {{ people | sort(attribute='age,name') | map(attribute='name') | join(',') }} {{ people | sort(attribute='name') | map(attribute='name') | list }} {{ 'hello' | sort }} {{ d.y | sort }}
=====
{{ [1, 'a'] | sort }}
=====
{{ [3, none] | sort }}
=====
{{ l | join }} {{ l | join(', ') }} {{ people | join('-', attribute='name') }} {{ [] | join(',') }}| {{ 'abc' | join('.') }} {{ d | join(',') }} {{ [1, none, 'x', 2.0, [1]] | join('|') }} {{ nothing | join(',') }}|
=====
{{ l | first }} {{ l | last }} {{ e | first }}| {{ e | last }}| {{ (1, 2) | last }} {{ d | first }} {{ range(5) | last }} {{ l | map('string') | first }} {{ d | last }}
=====
{{ l | length }} {{ d | count }} {{ s | length }} {{ range(4) | length }} {{ d.items() | length }} {{ () | length }} {{ u | count }}
=====
{{ 5 | length }}
=====
{{ none | length }}
=====
{{ l | map('string') | length }}
=====
{{ 'abc' | list }} {{ d | list }} {{ range(3) | list }} {{ (1, 2) | list }} {{ d.items() | list }} {{ l | list }}
=====
{{ 5 | list }}
=====
{{ l | reverse | list }} {{ (1, 2) | reverse | list }} {{ d | reverse | list }} {{ range(3) | reverse | list }} {{ l | map('string') | reverse }}
=====
{{ l | sum }} {{ [] | sum }} {{ [1.5, 2] | sum }} {{ people | sum(attribute='age') }} {{ [[1], [2]] | sum(start=[]) }} {{ l | sum(start=10) }}
=====
{{ ['a', 'b'] | sum }}
=====
{{ l | min }} {{ l | max }} {{ words | min }} {{ words | max }} {{ words | min(case_sensitive=true) }} {{ people | max(attribute='age') }} {{ people | min(attribute='age') }} {{ [] | max }}| {{ 'hello' | max }} {{ ['b', 'B'] | max }} {{ ['B', 'b'] | min }}
=====
{{ [1, 1, 2, 1.0, true] | unique | list }} {{ words | unique | list }} {{ words | unique(true) | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }} {{ 'abca' | unique | join }}
=====
{{ [[1], [1]] | unique | list }}
=====
{% for r in [1, 2, 3, 4, 5] | batch(2) %}{{ r }}{% endfor %} {% for r in [1, 2, 3] | batch(2, 'x') %}{{ r }}{% endfor %} {{ [1, 2, 3, 4, 5, 6, 7] | slice(3) | list }} {{ [1, 2, 3, 4, 5] | slice(3, 'x') | list }} {{ [] | batch(2) | list }} {{ [1] | slice(3) | list }} {{ [1, 2] | batch(0) | list }} {{ 'abcde' | batch(2) | list }}
=====
{% for g in people | groupby('age') %}{{ g.grouper }}:{{ g.list | map(attribute='name') | join(',') }};{% endfor %}{% for k, v in people | groupby('age') %}{{ k }}={{ v | length }};{% endfor %}{{ [{'a': 'x', 'b': 1}, {'a': 'X', 'b': 2}, {'b': 3}] | groupby('a', default='z') }}{{ [(1, 2), (1, 3)] | groupby(0) }}
=====
{{ d.y | dictsort }} {{ {'b': 1, 'A': 3, 'c': 2} | dictsort }} {{ {'b': 1, 'A': 3, 'c': 2} | dictsort(true) }} {{ {'b': 1, 'A': 3, 'c': 2} | dictsort(by='value') }} {{ {'b': 1, 'A': 3} | dictsort(reverse=true) }} {% for k, v in {'z': 1, 'y': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}
=====
{% for k, v in d.y | items %}{{ k }}{{ v }}{% endfor %}{{ nothing | items | list }}{{ {'a': 1} | items | list }}
=====
{{ [1, 2, 3, 4] | select('odd') | list }} {{ [1, 2, 3, 4] | reject('odd') | list }} {{ [0, 1, '', 'a', none] | select | list }} {{ [0, 1, '', 'a', none] | reject | list }} {{ [1, 5, 3] | select('gt', 2) | list }} {{ [1, 5, 3] | select('>', 2) | list }} {{ ['a', 'b'] | select('in', ['b']) | list }} {{ [6, 7] | select('divisibleby', 3) | list }} {{ [1, 'a', none, 2.0, true, [], {}] | select('number') | list }} {{ [1, 'a'] | select('string') | list }}
=====
{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'eq', 'user') | map(attribute='role') | list }} {{ messages | selectattr('tool_calls') | list | length }} {{ messages | selectattr('tool_calls', 'defined') | list | length }} {{ messages | selectattr('meta.id', 'defined') | list | length if false }} {{ messages | rejectattr('content', 'none') | list | length }} {{ messages | selectattr('content', 'string') | map(attribute='content') | list }} {{ messages | selectattr('role', 'in', ['tool', 'system']) | map(attribute='role') | join('+') }} {{ people | selectattr('tags.0', '==', 'x') | list if false }}
=====
{{ people | selectattr('age', '>', 26) | map(attribute='name') | list }} {{ people | map(attribute='tags') | map('length') | list }} {{ people | map(attribute='nope', default='d') | list }} {{ people | map(attribute='tags.0', default='-') | list }} {{ ['a', 'b'] | map('upper') | list }} {{ [1.7, 2.2] | map('int') | list }} {{ ['a-b', 'c'] | map('replace', '-', '+') | list }} {{ [[1, 2], [3]] | map('sum') | list }} {{ [[3, 4]] | map('first') | list }} {{ ['x'] | map('default', 'y') | list }} {{ [(1, 'a'), (2, 'b')] | map(attribute=1) | list }} {{ people | map(attribute='nope') | list }}
=====
{{ [1] | map | list }}
=====
{{ [1] | map('nope') | list }}
=====
{{ [1] | select('nope') | list }}
=====
{{ l | nope }}
=====
{{ l is nope }}
=====
{% set g = l | map('string') %}{{ g | join }}{{ g | join }}|{% set h = l | select %}{{ 3 in h }}{{ h | list }}
=====
{% set g = words | map('upper') %}{% for x in g %}{{ loop.index }}{{ x }}{{ loop.last }}{% endfor %}{% for x in g %}{{ x }}{% else %}empty{% endfor %}
=====
{{ 1 if l | map('string') else 2 }} {{ 1 if [] | map('string') else 2 }}
"""

CASES["filters_value"] = r"""
{{ nothing | default('d') }} {{ '' | default('d') }}| {{ '' | default('d', true) }} {{ none | default('d') }} {{ none | d('d', true) }} {{ 0 | default(5, boolean=true) }} {{ nothing | default }}| {{ d.nope | d(1) }} {{ d.y.nope | default([]) }} {{ 'v' | default('d') }}
=====
{{ d.nope.more | default('x') }}
=====
{{ '42' | int }} {{ '42.7' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 3.99 | int }} {{ -3.99 | int }} {{ '0x1f' | int(base=16) }} {{ '1f' | int(0, 16) }} {{ '101' | int(base=2) }} {{ true | int }} {{ none | int }} {{ [] | int }} {{ ' 12 ' | int }} {{ '1_000' | int }} {{ '' | int }} {{ '-5' | int }} {{ '+5' | int }} {{ '1e3' | int }} {{ 'inf' | int }} {{ '0b11' | int(0, 0) }} {{ '٣' | int }}
=====
{{ nothing | int }}
=====
{{ '1.5' | float }} {{ 'x' | float }} {{ 'x' | float(2.5) }} {{ 3 | float }} {{ '1e3' | float }} {{ 'nan' | float }} {{ '-inf' | float }} {{ none | float }} {{ '.5' | float }} {{ '5.' | float }} {{ '1_0.5' | float }} {{ ' 2.5 ' | float }} {{ '0x10' | float }} {{ '1e400' | float }}
=====
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(0, 'floor') }} {{ 2.567 | round(1, 'ceil') }} {{ 42 | round }} {{ 1234 | round(-2) }} {{ 1250 | round(-2) }} {{ 1234.5 | round(-2) }} {{ 2.675 | round(2) }} {{ -2.5 | round }} {{ 0.1 | round(20) }} {{ true | round }} {{ 42.55 | round(1) }} {{ 5 | round(1, 'floor') }} {{ -1.5 | round(0, 'ceil') }}
=====
{{ 'x' | round }}
=====
{{ 2.5 | round(0, 'bad') }}
=====
{{ -5 | abs }} {{ 5.5 | abs }} {{ -0.0 | abs }} {{ true | abs }}
=====
{{ 'x' | abs }}
=====
{{ d | tojson }} {{ [1, 2.0, none, true, 'é"\\/\n\t\x01\x7f\u2028😀', {}, []] | tojson }} {{ (1, 2) | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ 'x' | tojson }} {{ none | tojson }} {{ 1e16 | tojson }} {{ big | tojson }} {{ 1e400 | tojson }} {{ '<a>&\'' | tojson }} {{ [[]] | tojson }}
=====
{{ d | tojson(indent=2) }}
{{ [] | tojson(indent=2) }} {{ {} | tojson(indent=4) }} {{ [[], {}, [1, {'a': []}]] | tojson(indent=1) }} {{ [1, 2] | tojson(indent=0) }} {{ {'a': [1]} | tojson(indent='--') }}
=====
{{ {'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true) }} {{ {'a': [1, 2]} | tojson(separators=(',', ':')) }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ 'é\x7f' | tojson(true) }} {{ {'a': [1, 2]} | tojson(indent=2, separators=(', ', ': ')) }} {{ {'a': 1} | tojson(false, 2) }}
=====
{{ {(1, 2): 3} | tojson }}
=====
{{ range(3) | tojson }}
=====
{{ d.items() | tojson }}
=====
{{ d | attr('items') is callable }} {{ d | attr('x') is defined }} {{ s | attr('upper') is callable }} {{ (s | attr('upper'))() }} {{ s | attr('nope') }}|
=====
{{ {'b': 1, 'a': [1, 'x']} | pprint }} {{ 'x' | pprint }} {{ 5 | pprint }} {{ [1, none] | pprint }}
=====
{{ messages | tojson }}
=====
{{ messages | tojson(indent=2) }}
=====
{{ messages }}
"""

CASES["tests"] = r"""
{{ x is defined }} {{ a is defined }} {{ x is undefined }} {{ a is not defined }} {{ d.x is defined }} {{ d.nope is undefined }}
=====
{{ n is none }} {{ a is none }} {{ a is not none }} {{ nothing is none }}
=====
{{ s is string }} {{ a is string }} {{ d is mapping }} {{ l is mapping }} {{ l is iterable }} {{ s is iterable }} {{ d is iterable }} {{ a is iterable }} {{ n is iterable }} {{ nothing is iterable }} {{ range(3) is iterable }} {{ (l | map('string')) is iterable }}
=====
{{ l is sequence }} {{ s is sequence }} {{ d is sequence }} {{ a is sequence }} {{ (1, 2) is sequence }} {{ range(3) is sequence }} {{ d.keys() is sequence }} {{ nothing is sequence }} {{ (l | map('string')) is sequence }}
=====
{{ a is number }} {{ f is number }} {{ t is number }} {{ s is number }} {{ a is integer }} {{ f is integer }} {{ t is integer }} {{ f is float }} {{ a is float }} {{ t is boolean }} {{ a is boolean }} {{ t is true }} {{ t is false }} {{ 1 is true }} {{ 0 is false }} {{ n is false }}
=====
{{ 3 is odd }} {{ 4 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 2.0 is even }} {{ -3 is odd }}
=====
{{ a is eq 7 }} {{ a is equalto 7 }} {{ a is == 7 if false else 'k' }}
=====
{{ a is eq 7 }} {{ a is ne 7 }} {{ a is lt 8 }} {{ a is le 7 }} {{ a is gt 7 }} {{ a is ge 7 }} {{ a is greaterthan 3 }} {{ a is lessthan 3 }} {{ a is equalto(7) }} {{ a is in [7] }} {{ 'x' is in d }} {{ a is not in [1] }} {{ s is eq 'Hello, World' }}
=====
{{ n is sameas none }} {{ t is sameas true }} {{ l is sameas l }} {{ [] is sameas [] }} {{ a is sameas 7 }} {{ 1 is sameas true }} {{ 1 is sameas 1.0 }}
=====
{{ 'abc' is lower }} {{ 'aBc' is lower }} {{ 'ABC' is upper }} {{ '1' is lower }} {{ 'É' is upper }}
=====
{{ range is callable }} {{ a is callable }} {{ s.upper is callable }} {{ nothing is callable }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'nope' is test }}
=====
{{ a is defined and b is defined }} {{ not nothing is defined }} {{ a is defined or nothing }} {{ 'y' if a is defined else 'n' }} {{ [a is defined] }} {{ (a is number) and not (s is number) }}
=====
{{ 'a' is odd }}
=====
{{ nothing is odd }}
=====
{% if l is not string and l is iterable %}ok{% endif %}{% if messages[2].tool_calls is defined and messages[2].tool_calls %}tc{% endif %}{% if messages[2]['content'] is not none %}c{% endif %}
=====
{{ a is defined is defined }}
=====
{{ l is eq [3, 1, 2] }} {{ d.y is eq {'z': [10, 20]} }} {{ 1 is in(l) }}
"""

CASES["control"] = r"""
{% if a > 5 %}big{% elif a > 3 %}mid{% else %}small{% endif %} {% if n %}x{% elif t %}y{% endif %} {% if n %}x{% else %}{% if t %}z{% endif %}{% endif %}
=====
{% for i in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.depth }}/{{ loop.depth0 }};{% endfor %}
=====
{% for i in l %}{{ loop.previtem if loop.previtem is defined else '-' }}<{{ i }}>{{ loop.nextitem if loop.nextitem is defined else '-' }} {% endfor %}{% for m in messages %}{% if loop.previtem and loop.previtem.role == 'user' %}!{% endif %}{% endfor %}
=====
{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {% endfor %}{% for i in l %}{{ loop.cycle('a', 'b') }}{% endfor %}{{ [1] | length }}
=====
{% for i in l if i > 1 %}{{ loop.index }}:{{ i }}:{{ loop.length }} {% else %}none{% endfor %}{% for i in l if i > 9 %}{{ i }}{% else %}none{% endfor %}{% for i in [] %}{% else %}empty{% endfor %}
=====
{% for k, v in d.y.items() %}{{ k }}{{ v }}{% endfor %}{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}
=====
{% for x, in [(1,)] %}{{ x }}{% endfor %}
=====
{% for a, b in [(1, 2, 3)] %}{% endfor %}
=====
{% for a, b in [1] %}{% endfor %}
=====
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}{% for i in l %}{% break %}{% else %}else{% endfor %}{% for i in l %}{% continue %}{% else %}else{% endfor %}
=====
{% for i in l %}{% for j in l %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}
=====
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }} {% if t %}{% set x = 9 %}{% endif %}{{ x }}
=====
{% set ns = namespace(x=0, l=[]) %}{% for i in l %}{% set ns.x = ns.x + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.x }} {{ ns.l }} {{ ns }} {{ ns.nope is defined }} {{ ns['x'] }} {% set ns2 = namespace({'q': 1}, r=2) %}{{ ns2.q }}{{ ns2.r }}
=====
{% set d.x = 5 %}
=====
{% set nothing.x = 5 %}
=====
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, e) = [3, 4] %}{{ c }}{{ e }}{% set x = 1, 2 %}{{ x }}{% set y = (1) %}{{ y }}{% set (q,) = [5] %}{{ q }}{% set p, r = 'ab' %}{{ p }}{{ r }}
=====
{% set q, = [5] %}
=====
{% set x %}block {{ a }}{% endset %}{{ x }}|{% set y | upper | trim %} block {{ a }} {% endset %}{{ y }}|{% set z %}{% set inner = 1 %}{% endset %}{{ inner is defined }}{{ x is string }}
=====
{% with x = 1, y = a %}{{ x }}{{ y }}{% set z = 5 %}{% endwith %}{{ x is defined }}{{ z is defined }}{% with %}{{ a }}{% endwith %}{% with a = 1, b = a %}{{ b }}{% endwith %}
=====
{% macro m(x, y=2, z='q') %}[{{ x }},{{ y }},{{ z }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, z='r') }}{{ m(x=5, y=6) }}{{ m() }}{{ m.name }}{{ m.arguments }}{{ m }}
=====
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, 2) }}
=====
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(y=2) }}
=====
{% macro m(x, y=x) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, k=3) }}{{ v() }}{% macro w(a, *b) %}{% endmacro %}
=====
{% macro v(a) %}{{ a }}{{ varargs | join(',') }}{{ kwargs.k }}{% endmacro %}{{ v(1, 2, 3, k='x') }}{{ v(*[1, 2], **{'k': 'y'}) }}
=====
{% macro fact(n) %}{{ n if n <= 1 else n * (fact(n - 1) | int) }}{% endmacro %}{{ fact(10) }}
=====
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}bold {{ a }}{% endcall %}{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each(l) %}{{ i }}={{ x }};{% endcall %}
=====
{% macro m() %}{{ caller() if caller else 'no' }}{% endmacro %}{{ m() }}{% call m() %}yes{% endcall %}
=====
{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}
=====
{% macro m() %}{{ later }}{% endmacro %}{% set later = 'set' %}{{ m() }}{% for i in [1] %}{% set later = 'loop' %}{{ m() }}{% endfor %}
=====
{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}
=====
{% for n in tree recursive %}{{ n.v }}@{{ loop.depth }}{% if n.kids %}({{ loop(n.kids) }}){% endif %}{% endfor %}
=====
{% for n in tree recursive %}{{ loop.index }}.{{ loop.length }}{{ loop.last }}{{ loop(n.kids) if n.kids }} {% else %}-{% endfor %}
=====
{% for i in l %}{{ loop }}{% endfor %}
=====
{{ loop is defined }}{% for i in l %}{% set outer = loop %}{% for j in l %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}
=====
{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }} {% set j = joiner('|') %}{{ j() }}x{{ j() }}y{{ j() }} {% set j2 = joiner() %}{{ j2() }}{{ j2() }}
=====
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ dict([('k', 'v')]) }} {{ dict() }}
=====
{{ raise_exception('boom') }}
=====
{{ raise_exception('x: ' ~ [1, 'a']) }}
=====
{% if t %}{{ raise_exception("Conversation roles must alternate") }}{% endif %}
=====
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %y %a %p %I %%') }} {{ strftime_now('%-d %e %U %W %w %u %D %F %T %R %C') }}
=====
{% generation %}gen {{ a }}{% set zz = 1 %}{% endgeneration %}{{ zz is defined }}
=====
{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ loop.index }}{% endgeneration %}{% endif %}{% endfor %}
=====
{% print a, 'x' %} {% print(1) %}
=====
{% if a %}
=====
{% endif %}
=====
{{ a
=====
{{ a }
=====
{% for %}{% endfor %}
=====
{% set x %}
=====
{{ a b }}
=====
{{ [1, 2 }}
=====
{{ 'abc }}
=====
{# unclosed
=====
{% raw %} x
=====
{% break %}
=====
{% nope %}
=====
{{ }}
=====
{{ a. }}
=====
{{ a | }}
=====
{{ range(200000) | length }}
=====
{{ range(1, 5, 0) }}
=====
{{ range(99999) | length }} {{ range(100000) | length }}
=====
{% for i in range(3) %}{% set _ = i %}{% endfor %}{{ _ is defined }}{% set x = namespace(v=1).v %}{{ x }}
=====
{% for k in d %}{{ k }}{% endfor %}{% for c in 'aé' %}{{ c }},{% endfor %}{% for x in (1, 2) %}{{ x }}{% endfor %}
=====
{% for i in 5 %}{% endfor %}
=====
{% for m in messages[1:] if m.role != 'tool' %}{{ loop.index }}{{ m.role }}{{ loop.last }} {% endfor %}
=====
{% set ns = namespace(on=true) %}{% for i in range(5) if ns.on %}{{ i }}{% if i == 2 %}{% set ns.on = false %}{% endif %}{% endfor %}
=====
{% set ns = namespace(on=true) %}{% for i in range(5) if ns.on %}{{ i }}{{ loop.last }}{% if i == 2 %}{% set ns.on = false %}{% endif %}{% endfor %}
=====
{% set a = 1 %}{% macro m(a=a) %}{{ a }}{% endmacro %}{{ m() }}{{ m(2) }}
=====
{{ m() }}{% macro m() %}x{% endmacro %}
=====
{%- set s -%}
  a
{%- endset -%}
[{{ s }}]
=====
{% filter trim %}  {% for i in l %}{{ i }} {% endfor %} {% endfilter %}|
"""

CASES["chat"] = r"""
{% for m in messages %}{{ '<|' + m.role + '|>\n' }}{% if m.content is string %}{{ m.content | trim }}{% elif m.content is none %}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}{% else %}{% for p in m.content %}{{ p.text if p.type == 'text' else '[' ~ p.type ~ ']' }}{% endfor %}{% endif %}{{ '\n' }}{% endfor %}
=====
{%- macro render(content) -%}
    {%- if content is string -%}{{ content }}
    {%- elif content is iterable and content is not mapping -%}
        {%- for item in content -%}
            {%- if 'text' in item -%}{{ item['text'] }}{%- elif item['type'] == 'image' -%}<img>{%- endif -%}
        {%- endfor -%}
    {%- elif content is none or content is undefined -%}
        {{- '' -}}
    {%- else -%}{{ raise_exception('Unexpected content type') }}{%- endif -%}
{%- endmacro -%}
{%- for m in messages -%}<{{ m.role }}>{{ render(m.content) }}</>
{%- endfor -%}
=====
{%- set ns = namespace(is_first=false, is_tool=false, system_prompt='', is_first_sp=true) %}
{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- else %}{% set ns.system_prompt = ns.system_prompt + '\n\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ ns.system_prompt }}
{%- for message in messages %}{%- if message['role'] == 'user' and message['content'] is string %}{%- set ns.is_tool = false -%}{{'<|User|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and 'tool_calls' in message %}{%- for tool in message['tool_calls'] %}{{- '<call>' + tool['function']['name'] + '\n```json\n' + tool['function']['arguments']|tojson + '\n```' }}{%- endfor %}{%- endif %}{%- endfor -%}
=====
{%- for message in messages | rejectattr('content', 'none') | rejectattr('content', 'sequence') -%}{{ message.role }}{%- endfor -%}{%- for message in messages if message.content is string -%}{{ loop.index0 }}{{ message.content | replace('\n', '\\n') }}{%- if not loop.last %};{% endif %}{%- endfor -%}
=====
{%- set tools = [{'type': 'function', 'function': {'name': 'get', 'parameters': {'type': 'object', 'properties': {'q': {'type': ['string', 'null'], 'enum': ['a', 'b']}, 'items': {'type': 'array', 'items': {'type': 'number'}}}, 'required': ['q']}}}] %}
{%- macro type_of(p) -%}{%- if p.type is string -%}{%- if p.type == 'array' -%}list[{{ type_of(p['items']) }}]{%- else -%}{{ p.type }}{%- endif -%}{%- elif p.type is iterable -%}{{ p.type | join(' | ') }}{%- else -%}any{%- endif -%}{%- endmacro -%}
{%- for tool in tools -%}{{ tool.function.name }}({%- for name, p in tool.function.parameters.properties.items() -%}{{ name }}: {{ type_of(p) }}{% if p.enum %} in {{ p.enum | tojson }}{% endif %}{% if name not in tool.function.parameters.required %}?{% endif %}{% if not loop.last %}, {% endif %}{%- endfor -%}){%- endfor -%}
=====
{{ messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | first | default('none', true) }}{% set rest = messages | rejectattr('role', 'equalto', 'system') | list %}{{ rest | length }}{{ (rest | last).role }}{{ rest[-1]['content'][0]['text'].split(' ') | last | upper }}
=====
{% set content = '<think>\nhm\n</think>\n\nanswer' %}{% set parts = content.split('</think>') %}{{ parts[0].split('<think>')[-1].strip() }}|{{ parts[-1].lstrip('\n') }}|{{ content.split('</think>', 1)[1].strip() if '</think>' in content }}
=====
{{ bos_token is defined }}{{ (messages | length) % 2 == 0 }}{{ messages[0]['role'] in ['system', 'developer'] }}{{ messages[(messages | length) - 1].role }}{{ messages[:-1] | length }}{{ 'tool_calls' in messages[2] and messages[2]['tool_calls'] | length == 1 }}
"""


def main(folder):
    for name, text in CASES.items():
        with open(f"{folder}/{name}.jsonl", "w") as out:
            for template in text[1:-1].split("\n=====\n"):
                used = {k: v for k, v in VARIABLES.items() if k in template}
                out.write(json.dumps(render(template, used)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
