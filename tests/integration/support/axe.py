"""axe-core's rules about accessibility, run in the page that a browser shows."""

from . import processes

SOURCE = (processes.ROOT / "tests/integration/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
RUN = """
const [within, done] = arguments;
axe.run(within, { resultTypes: ["violations"] }).then((found) => done(found.violations), (error) => done(String(error)));
"""


def findings(page, within="html"):
    """[(rule, what a node of it looks like)] of those that axe calls serious or critical, in the elements of a selector."""
    page.driver.set_script_timeout(processes.seconds(120))
    page.run(SOURCE)
    found = page.driver.execute_async_script(RUN, within)
    assert isinstance(found, list), found
    return [
        (rule["id"], f"{node['target']}: {node['html'][:200]} {node['failureSummary']}")
        for rule in found if rule["impact"] in ("serious", "critical") for node in rule["nodes"]
    ]
