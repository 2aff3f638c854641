"""`petseg schedule` as a group: what its help lists, and what it says of a misspelt command."""

from pipeline.cli import exit_code


def test_help_lists_the_commands_for_people_in_their_order(capsys):
    assert exit_code(["schedule", "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == ["apply", "list", "show", "pause", "resume", "trigger", "delete"]
    assert listed[0].split(maxsplit=1)[1] == "Make the server or this machine follow [schedule]."


def test_a_misspelt_command_is_refused_with_the_nearest(capsys):
    assert exit_code(["schedule", "aply"]) == 2
    assert "there is no command 'aply'; did you mean 'apply'?" in capsys.readouterr().err
