#!/bin/sh
# Chromium without a window, and a small font with Chinese characters (1.6 MB), for the tests in a browser.
# Says one line if it cannot, and never fails: the tests are skipped then, and pytest's summary says so.

cd "$(dirname "$0")/../.." || exit 0

wanted=""
for name in ${CHROMIUM:+"$CHROMIUM"} chromium-headless-shell chromium chromium-browser google-chrome chrome; do
    command -v "$name" >/dev/null 2>&1 && found=$name && break
done
[ -n "${found:-}" ] || wanted="chromium-headless-shell"
if ! command -v fc-list >/dev/null 2>&1 || [ -z "$(fc-list :lang=zh-cn family 2>/dev/null)" ]; then
    wanted="$wanted fonts-wqy-microhei"
fi
[ -n "$wanted" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
    $as_root true 2>/dev/null || as_root="none"
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$as_root" = "none" ]; then
    echo "tests in a browser want $(echo $wanted | sed 's/ / and /'); not installed: no apt-get, or no right to use it"
    exit 0
fi

apt() {
    DEBIAN_FRONTEND=noninteractive timeout 300 $as_root apt-get -q -q -y \
        -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o DPkg::Lock::Timeout=60 "$@" >/dev/null 2>&1
}

echo "installing $(echo $wanted | sed 's/ / and /') for the tests in a browser"
apt install --no-install-recommends $wanted ||
    { apt update && apt install --no-install-recommends $wanted; } ||
    echo "apt-get could not install $(echo $wanted | sed 's/ / and /'); run $0 to try again"
exit 0
