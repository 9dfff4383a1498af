"""A workflow of code steps, one after the other or side by side."""


def chained(cairn, language, *codes, more="", side_by_side=False):
    """Runs s0, s1 ...; the body of the end is the list of theirs."""
    nodes = "".join(f"  s{i}:\n    type: code\n    language: {language}\n"
                    f"    needs: {[f's{i - 1}'] if i and not side_by_side else []}\n{more}    code: |\n"
                    + "".join(f"      {line}\n" for line in code.split("\n"))
                    for i, code in enumerate(codes))
    names = ", ".join(f"s{i}" for i in range(len(codes)))
    cairn.flow(f"nodes:\n{nodes}  end: {{type: end, needs: [{names}], value: \"[{names}]\"}}\n")
    return cairn("run", "flow.yaml", "--json")
