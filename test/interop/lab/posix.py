"""In the lab's client VM: what a folder on a mount with the POSIX extensions must allow, as a local file system does: posix.py
FOLDER THE-SAME-BY-ANOTHER-MOUNT."""

import os
import sys

folder, other = sys.argv[1:]
os.mkdir(folder)
os.chdir(folder)


def put(name, text):
    with open(name, 'w') as file:
        file.write(text)


def get(name):
    with open(name) as file:
        return file.read()


def modes_are_those_asked_for():
    os.umask(0o027)
    os.mkdir('private')
    put('private/file', 'x')
    fd = os.open('private/program', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o700)
    os.close(fd)
    # Linux 6.1 shows what it has just made with the mount's mode; the other mount asks.
    modes = [os.stat(f'{other}/private{name}').st_mode & 0o7777 for name in ('', '/file', '/program')]
    assert modes == [0o750, 0o640, 0o700], [oct(mode) for mode in modes]


def names_differ_in_case():
    put('Name', 'one')
    put('NAME', 'another')
    assert (get('Name'), get('NAME')) == ('one', 'another')
    assert not os.path.exists('name')
    os.rename('Name', 'name')
    assert sorted(os.listdir('.')) == ['NAME', 'name', 'private'], os.listdir('.')


def all_characters_are_allowed():
    names = ['a:b', 'what?*', '<angle>', 'pipe|', 'back\\slash', 'quote"', 'dot.', 'space ', 'über']
    os.mkdir('odd')
    for name in names:
        put(f'odd/{name}', name)
    assert sorted(os.listdir('odd')) == sorted(names), os.listdir('odd')
    assert all(get(f'odd/{name}') == name for name in names)


# Linux 6.1 finds open files by their path, also when that is another's by now: so the other mount looks.
def an_open_file_is_replaced():
    put('old', 'old')
    put('new', 'new')
    with open('old', 'r+') as file:
        os.rename('new', 'old')
        assert get(f'{other}/old') == 'new', get(f'{other}/old')
        assert file.read() == 'old'
    os.unlink('old')


def an_open_file_is_removed():
    put('gone', 'still here')
    with open('gone', 'r+') as file:
        os.unlink('gone')
        assert not os.path.exists(f'{other}/gone')
        put(f'{other}/gone', 'another')
        assert file.read() == 'still here'
        file.write(', and more')
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        assert file.read() == 'still here, and more'
    assert get(f'{other}/gone') == 'another'


def folders_move_with_open_files_below():
    os.makedirs('above/below')
    put('above/below/file', 'text')
    with open('above/below/file') as file:
        os.rename('above', 'moved')
        assert file.read() == 'text'
    assert get('moved/below/file') == 'text'
    os.mkdir('empty')
    os.rename('moved', 'empty')
    assert get('empty/below/file') == 'text'


def hard_links_are_counted():
    put('first', 'x')
    os.link('first', 'second')
    assert os.stat('second').st_nlink == 2, os.stat('second')
    assert os.stat('first').st_ino == os.stat('second').st_ino


def long_listings_are_whole():
    os.mkdir('many')
    for number in range(400):
        put(f'many/file-{number:03}', '')
    assert len(os.listdir('many')) == 400
    assert all(entry.is_file() for entry in os.scandir('many'))


def the_file_system_has_a_size():
    size = os.statvfs('.')
    assert size.f_blocks > size.f_bfree > 0 and size.f_bsize >= 512, size


checks = [modes_are_those_asked_for, names_differ_in_case, all_characters_are_allowed,
          an_open_file_is_replaced, an_open_file_is_removed, folders_move_with_open_files_below, hard_links_are_counted,
          long_listings_are_whole, the_file_system_has_a_size]
for check in checks:
    title = f"posix: {check.__name__.replace('_', ' ')}"
    try:
        check()
        print(f'ok   {title}', flush=True)
    except (AssertionError, OSError) as error:
        print(f'FAIL {title}', flush=True)
        print(f'     | {error!r}', flush=True)
