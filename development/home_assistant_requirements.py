"""Print what the parts of Home Assistant that we start would download at run time; scripts/pin pins it instead.

Each integration names its packages in its manifest, not in Home Assistant's own metadata.
"""

import json
from pathlib import Path

import homeassistant
from homeassistant.bootstrap import DEFAULT_INTEGRATIONS

# What development.home_assistant configures, beyond what every Home Assistant sets up.
CONFIGURED = ("config", "history", "logbook", "mqtt", "todo")

# Home Assistant builds its own wheels of these two; on PyPI only their later versions need no C++ compiler.
LATER_VERSION_ALLOWED = ("pymicro-vad", "pyspeex-noise")


def requirements(domains: set[str]) -> set[str]:
    """Return the requirements of integrations and of all that they depend on."""
    components = Path(homeassistant.__file__).parent / "components"
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(domains)
    while waiting:
        domain = waiting.pop()
        if domain in seen:
            continue
        seen.add(domain)
        manifest = json.loads((components / domain / "manifest.json").read_text())
        for requirement in manifest.get("requirements", ()):
            relaxed = requirement.startswith(LATER_VERSION_ALLOWED)
            found.add(requirement.replace("==", ">=") if relaxed else requirement)
        waiting += manifest.get("dependencies", ())
    return found


if __name__ == "__main__":
    print("# Made by scripts/pin from the manifests of Home Assistant's integrations.")
    print("\n".join(sorted(requirements({*DEFAULT_INTEGRATIONS, *CONFIGURED}), key=str.lower)))
