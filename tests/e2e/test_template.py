"""The template kind with the real binary: files beside the workflow, what is written where."""


def test_a_file_is_part_of_the_workflow(cairn):
    cairn.write("parts/mail.txt", "Dear {{ inputs.who }},\n{{#each inputs.items as x}}\n- {{ x }}\n{{/each}}\n")
    cairn.flow("""
inputs: {who: {type: string, default: "{{ inputs.items }}"}, items: {type: array, default: [a, 2]}}
nodes:
  mail: {type: template, file: parts/mail.txt, save_to: "out/{{ size(inputs.items) }}.txt"}
  short: {type: template_job, needs: [mail], template: "{{ mail }}!"}
outputs: {mail: mail, short: short}
""")
    done = cairn("run", "flow.yaml", "--json", "-q")
    text = "Dear {{ inputs.items }},\n- a\n- 2\n"
    assert done.json["finalResult"] == {"mail": text, "short": text + "!"}
    assert (cairn.folder / "out/2.txt").read_text() == text


def test_findings_point_into_the_file(cairn):
    cairn.write("mail.txt", "Dear\n  {{ whoo }}\n")
    cairn.flow("inputs: {who: {}}\nnodes:\n  mail: {type: template, file: mail.txt}\n")
    done = cairn("validate", "flow.yaml")
    assert done.status == 2
    assert 'mail.txt:2:6: error: unknown name "whoo"' in done.err


def test_save_to_cannot_leave_the_folder(cairn, tmp_path):
    home = tmp_path / "flows"
    home.mkdir()
    cairn.folder = home
    (home / "away").symlink_to(tmp_path)
    for path in ("../x.txt", str(tmp_path / "x.txt"), "away/x.txt"):
        for node in (f'{{type: template, template: t, save_to: "{path}"}}',
                     f'{{type: end, value: 1, save_to: "{path}"}}'):
            cairn.flow(f"  t: {node}\n")
            done = cairn("run", "flow.yaml", "--json", "-q")
            assert done.json["error"]["type"] == "denied", done.out
    assert not (tmp_path / "x.txt").exists()
