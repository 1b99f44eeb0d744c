import numpy as np
import pytest

from mmkd3d.datasets.readers import read_file, read_points
from tests.helpers import rejects

rng = np.random.default_rng(0)
CLOUD = np.column_stack([rng.normal(size=(40, 3)).round(6), rng.integers(0, 256, (40, 3))])
COMMA = bytes.maketrans(b'.', b',')


def rows(separator=' ', cloud=CLOUD):
    texts = [[f'{v:.6f}' for v in row[:3]] + [f'{v:.0f}' for v in row[3:]] for row in cloud]
    return ''.join(separator.join(row) + '\n' for row in texts)


def read(tmp_path, content, name='a.txt', **options):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    ((_, points),) = read_file(path, **options)
    return points


DIALECTS = {
    'bom': b'\xef\xbb\xbf' + rows().encode(),
    'bom and header': b'\xef\xbb\xbf'
    + b'x;y;z;r;g;b\r\n'
    + rows(';').replace('\n', '\r\n').encode(),
    'utf-16': rows('\t').encode('utf-16'),
    'utf-16 without a mark': rows().encode('utf-16-le'),
    'utf-16 of the other order': rows().encode('utf-16-be'),
    'utf-32': rows().encode('utf-32'),
    'semicolons': rows(';'),
    'semicolons and blanks': rows(' ; '),
    'bars': rows('|'),
    'tabs': rows('\t'),
    'commas and blanks': rows(', '),
    'decimal commas': rows().encode().translate(COMMA),
    'decimal commas, tabs': rows('\t').encode().translate(COMMA),
    'decimal commas, semicolons': rows(';').encode().translate(COMMA),
    'decimal commas, commas': rows('; ').encode().translate(COMMA).replace(b';', b','),
    'trailing commas': rows(',').replace('\n', ',\n'),
    'trailing semicolons of a sheet': rows(';').replace('\n', ';;;\n') + ';;;;;\n',
    'trailing tabs': 'x\ty\tz\tr\tg\tb\t\n' + rows('\t').replace('\n', '\t\n'),
    'quotes': '"x","y","z","r","g","b"\n' + '"' + rows('","').replace('\n', '"\n"')[:-1],
    'quoted decimal commas': '"'
    + rows('";"').replace('\n', '"\n"')[:-1].replace('.', ',').replace(';', ','),
    'decimal commas, quoted where needed': ''.join(
        ','.join([f'"{v:.6f}"'.replace('.', ',') for v in row[:3]] + [f'{v:.0f}' for v in row[3:]])
        + '\n'
        for row in CLOUD
    ),
    'names and what they mean': '# x y z r g b (metres, 0 to 255)\n' + rows(),
    'a long title': '# a scan\n' * 20000 + rows(),
    'title and header': 'scan of a chair\nx,y,z,r,g,b\n' + rows(','),
    'title that mentions numbers': 'room 3 of 5 on 2024-05-01\n' + rows(),
    'CloudCompare': '//X Y Z R G B\n40\n' + rows(),
    'CloudCompare with scalars': '//X,Y,Z,Scalar field,Nx,Ny\n40\n' + rows(','),
    'count and title': '40\nScan\n' + rows(),
    'count and a title of as many words': '40\nscan of a chair in Rome\n' + rows(),
    'count of points and columns': '40 6\n' + rows(),
    'numpy': '# x y z r g b\n' + rows(','),
    'comments': '# made by hand\n% twice\n// thrice\n\n' + rows() + '# the end\n',
    'comments between': rows().replace('\n', '\n# next\n// next\n', 3),
    'notes behind points': rows().replace('\n', ' # note of mine\n'),
    'notes behind points and names': 'x y z r g b\n' + rows().replace('\n', ' // 1 2 3\n'),
    'two stations': '15\n' + rows(cloud=CLOUD[:15]) + '25\n' + rows(cloud=CLOUD[15:]),
    'three stations': '1\n' + '1\n'.join(rows(cloud=CLOUD[k : k + 1]) for k in range(40)),
    'blank lines': '\n \n\t\n' + rows().replace('\n', '\n\n'),
    'windows': rows().replace('\n', '\r\n'),
    'old mac': rows().replace('\n', '\r'),
    'sheet': 'sep=;\n' + rows(';'),
    'pandas without names': '0,1,2,3,4,5\n' + rows(','),
    'control bytes': rows().replace('0.', '\x100.', 5).replace('\n', '\x00\n', 2),
    'accents': '# Straße 扫描\nX;Y;Z;Höhe;Grün;B\n' + rows(';'),
    'Latin-1 accents': 'Straße\n'.encode('latin-1') + rows().encode(),
    'no end of the last line': rows()[:-1],
    'plus signs and exponents': rows().replace(' 0.', ' +0.').replace('\n', 'e0\n'),
    'units': 'x [m];y [m];z [m];r;g;b\n' + rows(';'),
}


@pytest.mark.parametrize('dialect', DIALECTS)
def test_every_dialect_gives_the_same_points(tmp_path, dialect):
    np.testing.assert_array_equal(read(tmp_path, DIALECTS[dialect]), CLOUD)


@pytest.mark.parametrize('seed', range(60))
def test_columns_are_found_in_any_order_separator_and_encoding(tmp_path, seed):
    rng = np.random.default_rng(seed)
    names = [*'xyz', *rng.choice(['red', 'time', 'nx', 'intensity', 'label'], 3, replace=False)]
    cloud = np.column_stack(
        [rng.normal(scale=100, size=(7, 3)).round(4), rng.integers(9, size=(7, 3))]
    )
    order = rng.permutation(6)
    separator = rng.choice([' ', ',', ';', '\t', '|', ' ; '])
    table = [[str(value) for value in row[order]] for row in cloud]
    if separator != ',' and rng.random() < 0.5:
        table = [[cell.replace('.', ',') for cell in row] for row in table]
    head = [str(rng.choice([n, n.upper(), n.title()])) for n in np.array(names)[order]]
    index = separator != ' ' and rng.random() < 0.5
    lines = [head, *table]
    if index:
        lines = [['', *head], *([str(k), *row] for k, row in enumerate(table))]
    title = rng.choice(['', 'a scan\n', '# a scan\n', '\n'])
    text = title + rng.choice(['\n', '\r\n']).join(separator.join(line) for line in lines)
    found = read(tmp_path, text.encode(rng.choice(['utf-8', 'utf-8-sig', 'utf-16'])), 'a.csv')
    rest = [k for k in order if k > 2]
    np.testing.assert_array_equal(found, cloud[:, [0, 1, 2, *rest]])
    wanted = rng.permutation(6)
    found = read(tmp_path, text, 'a.csv', columns=[names[k].upper() for k in wanted])
    np.testing.assert_array_equal(found, cloud[:, wanted])


@pytest.mark.parametrize('separator', [' ', ',', ';'])
@pytest.mark.parametrize('start', [0, 1])
def test_a_first_column_that_numbers_the_points_is_left_out(tmp_path, separator, start):
    numbers = np.arange(40)[:, None] + start
    text = '\n'.join(separator.join(map(repr, row)) for row in np.hstack([numbers, CLOUD]).tolist())
    np.testing.assert_array_equal(read(tmp_path, text), CLOUD)
    kept = read(tmp_path, text, columns=['0', '1', '2', '3'])
    np.testing.assert_array_equal(kept, np.hstack([numbers, CLOUD[:, :3]]))


@pytest.mark.parametrize(
    'table',
    [
        np.column_stack([np.arange(40), CLOUD[:, :2]]),  # three columns are x, y, z
        np.column_stack([np.arange(40) + 2, CLOUD]),
        np.column_stack([np.arange(40)[::-1], CLOUD]),
        np.column_stack([np.arange(40) * 0.5, CLOUD]),
        np.column_stack([np.arange(9), CLOUD[:9]]),  # too few to tell
    ],
)
def test_other_first_columns_are_coordinates(tmp_path, table):
    text = '\n'.join(' '.join(map(repr, row)) for row in table.tolist())
    np.testing.assert_array_equal(read(tmp_path, text), table)


@pytest.mark.parametrize('separator', [',', ';', '\t', '|'])
def test_empty_last_cells_are_nan(tmp_path, separator):
    for end in ('', separator):
        lines = rows(separator).replace('\n', f'{end}\n').split('\n')
        lines[3] = separator.join([*lines[3].split(separator)[:5], '', ''][: 6 + bool(end)])
        lines[9] = separator.join([*lines[9].split(separator)[:4], '', '', ''][: 6 + bool(end)])
        wanted = CLOUD.copy()
        wanted[3, 5:] = wanted[9, 4:] = np.nan
        np.testing.assert_array_equal(read(tmp_path, '\n'.join(lines)), wanted)
    rejects('2 of 40 points have a NaN', read_points, tmp_path / 'a.txt')
    cut = '\n'.join([*lines, lines[0].rpartition(separator)[0].rpartition(separator)[0]])
    rejects('line 42, .* has 5 columns', read, tmp_path, cut)


@pytest.mark.parametrize('header', ['', 'x,y,z,r,g,b\n'])
def test_a_last_column_may_be_empty_in_most_lines(tmp_path, header):
    lines = [line.rpartition(',')[0] + ',' for line in rows(',').splitlines()]
    lines[33] = rows(',').splitlines()[33]
    wanted = CLOUD.copy()
    wanted[np.arange(40) != 33, 5] = np.nan
    np.testing.assert_array_equal(read(tmp_path, header + '\n'.join(lines)), wanted)
    lines[1:] = rows(',').splitlines()[1:]  # in the first alone
    wanted[1:] = CLOUD[1:]
    np.testing.assert_array_equal(read(tmp_path, header + '\n'.join(lines)), wanted)


def test_commas_for_both_are_told_by_leading_zeros(tmp_path):
    text = ''.join(','.join(f'{v:.3f}' for v in row).replace('.', ',') + '\n' for row in CLOUD)
    np.testing.assert_array_equal(read(tmp_path, text), CLOUD.round(3))
    np.testing.assert_array_equal(read(tmp_path, 'x,y,z,r,g,b\n' + text), CLOUD.round(3))
    whole = np.random.default_rng(0).integers(100, 999, (40, 6))  # may be either: six columns
    np.testing.assert_array_equal(read(tmp_path, rows(',', whole).replace('.000000', '')), whole)


@pytest.mark.parametrize('separator', [' ', ','])
def test_a_first_point_like_column_numbers_is_kept(tmp_path, separator):
    for first, others in (
        ('0 1 2', CLOUD[:, :3].round(0)),
        ('0 1 2', np.column_stack([CLOUD[:, :2], np.ones(40)])),
        ('0 1 2 3 4', CLOUD[:, 1:].round(0)),
    ):
        lines = [first.split(), *([f'{v:g}' for v in row] for row in others)]
        points = read(tmp_path, '\n'.join(separator.join(line) for line in lines))
        assert points.shape == (41, len(others[0])) and points[0, 2] == 2
    points = read(tmp_path, '0 1 2\n' + rows(cloud=CLOUD[:, :3]))
    assert points.shape == (41, 3)


@pytest.mark.parametrize('more', ['', ' 0', ' 0 0'])
def test_a_count_as_long_as_a_point_is_none(tmp_path, more):
    count = 3 + len(more) // 2
    given = rng.normal(size=(40, count)).round(3)
    text = '\n'.join(' '.join(map(repr, row)) for row in given.tolist())
    for said, kept in ((f'40 3 0{more}', 40), (f'41 3 0{more}', 41), (f'40 2 0{more}', 41)):
        assert len(read(tmp_path, f'{said}\n{text}')) == kept


def test_text_keeps_double_precision(tmp_path):
    points = read(tmp_path, '5432100.123456 430000.654321 12.5\n' * 3, 'a.asc')
    assert points.dtype == np.float64 and points[0, 0] == 5432100.123456


def test_columns_of_text_are_left_out(tmp_path):
    text = 'name,x,y,z,class,r\n' + ''.join(f'chair_{k},{k},{k}.5,0,oak,7\n' for k in range(5))
    points = read(tmp_path, text, 'a.csv')
    np.testing.assert_array_equal(points[2], [2, 2.5, 0, 7])
    np.testing.assert_array_equal(read(tmp_path, text.replace('oak', '3', 1), 'a.csv'), points)
    quoted = text.replace('oak', '"oak, old"').replace('name', '"name, id"')
    np.testing.assert_array_equal(read(tmp_path, quoted, 'a.csv'), points)
    rejects(
        "column 'class' holds no numbers", read, tmp_path, text, columns=['x', 'y', 'z', 'class']
    )
    rejects('line 1, cut at .,., has columns that are no numbers', read, tmp_path, text[19:])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (rows(';') + '1;2\n', "line 41, cut at ';', has 2 columns, expected 6 .*line 1: '1;2'"),
        ('\n' + rows(',') + '1,2,3,4,5,6,7\n', "line 42, cut at ',', has 7 columns.*line 2"),
        (rows() + '1 2 abc 4 5 6\n' + rows(), "line 41, cut at blanks: 'abc' is no number"),
        ('x,y,z\n' + '1,2,3\n' * 3 + '1,,3\n', "line 5, cut at ',': '' is no number"),
        # a first point with a typing error is neither a title nor a header
        ('0.1O 0.2 0.3\n' + '1 2 3\n' * 9, "line 1 is no point of 3 columns, cut at blanks: '0.1O"),
        ('n/a n/a 0.3\n' + '1 2 3\n' * 9, "line 1 is no point of 3 columns, .*'n/a n/a 0.3'"),
        ('0.1 0.2\n' + '1 2 3\n' * 9, "line 1 is no point of 3 columns, .*'0.1 0.2'"),
        ('50\n' + rows(), 'line 1 says 50 points, and 40 follow'),
        ('15\n' + rows() + '26\n' + rows(), 'line 1 and later ones say 41 points, and 80 follow'),
        ('//X Y Z R G B\n41\n' + rows(), 'line 2 says 41 points, and 40 follow'),
        ('a,b,c,d,e,f\n' + rows(','), 'no columns x, y, z among a, b, c, d, e, f'),
        (
            '"x" "y" "z"\n' + ''.join(f'"{k}" 1 2 3\n' for k in range(9)),
            'line 1 names 3 columns',
        ),  # R
        ('t,x,y,z\n' + rows(','), "line 1 names 4 columns, cut at ',', and the points have 6"),
        ('x,y,z,x,e,f\n' + rows(','), "line 1 names two columns 'x'"),
        ('hello\nworld\n', "no line with three numbers.*Line 1 is 'hello'"),
        ('1 2\n3 4\n', 'no line with three numbers'),
        ('1 2 3;4 5 6\n' * 5, 'line 1, cut at blanks, has columns that are no numbers'),
        (b'\x01\x02\xff\xfe' * 99, 'no line with three numbers'),
    ],
)
def test_errors_name_the_line_and_the_separator(tmp_path, content, message):
    rejects(f'a.txt: {message}', read, tmp_path, content)


def test_a_file_of_comments_is_an_empty_cloud(tmp_path):
    (tmp_path / 'a.txt').write_text('\n# x y z\n')
    rejects('a.txt: the cloud is empty', read_points, tmp_path / 'a.txt')
