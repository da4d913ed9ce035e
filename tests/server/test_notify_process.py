"""A server has the `notify` commands told what they are owed, in a process of their own."""

import signal

from support.crashing import KILLED, World, wait_until
from support.serving import logged, serve


def test_a_message_of_a_killed_process_is_delivered_by_the_next_server(world: World) -> None:
    """No run is under way, and none comes; a command that fails is told in the log, and not run again."""
    file = world.folder / "told"
    commands = [f'echo "$MAINGATE_EVENT $MAINGATE_STATE" >> {file}', "echo out of order; exit 7"]
    world.write_plan(
        {"p": world.repo.diff_of({"b.txt": "b\n"})},
        gates={"unit": {"run": "false"}},
        workstreams={"w": {"tasks": {"t": {"patch": "p"}}}},
        notify=commands,
    )
    assert world.run(fault="notify.owed").ended() == KILLED
    server = serve(world)
    wait_until(lambda: logged(server, "notify"), "the process of the messages")
    server.send(signal.SIGTERM)
    assert server.ended() == 0, server.said
    assert file.read_text() == "run_ended failed\n"
    [failure] = logged(server, "notify")
    assert "notify 2 exited with 7: out of order" in failure["reason"]
    with world.open() as maingate:
        assert not maingate.notifier.is_owed()
