# Shared by the benchmarks: a release build, a server on a free port with its own folder, and clean-up. Source it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT

need() { command -v "$1" >/dev/null || { echo "this benchmark needs $1: ${2:-install it}" >&2; exit 2; }; }

build() { (cd "$root" && cargo build --release --quiet --bin candlecast); }

# serve PORT [ARG…]: starts a server and waits until it answers; its pid is in $server.
serve() {
    local port=$1; shift
    "$root/target/release/candlecast" serve --listen "127.0.0.1:$port" \
        --database-url "sqlite://$work/bench.db" --models-dir "$work/models" "$@" >"$work/serve.log" 2>&1 &
    server=$!; pids+=("$server")
    for _ in $(seq 100); do
        curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && return
        sleep 0.1
    done
    echo "the server did not come up:" >&2; cat "$work/serve.log" >&2; exit 1
}

stop_server() { kill -TERM "$server"; wait "$server" 2>/dev/null || true; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

machine() {
    echo "$(date -I), $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), load $(cut -d' ' -f1 /proc/loadavg)"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# A CSV of many tickers: real ones from ../shared where that is, else an invented market of the same shape.
many_tickers_csv() {
    local bulk=$root/../shared/data/bulk/all_stocks_5yr.csv.gz
    if [ -f "$bulk" ]; then gzip -dc "$bulk" >"$work/bulk.csv"; else
        "$root/target/release/candlecast" generate --tickers 505 --bars 1226 >"$work/bulk.csv"
    fi
    echo "$work/bulk.csv"
}

# wait_for_job PORT ID: until the job is final; prints its state.
wait_for_job() {
    local state
    for _ in $(seq 3000); do
        state=$(curl -sf "http://127.0.0.1:$1/v1/jobs/$2" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')
        case $state in succeeded | failed | canceled) echo "$state"; return ;; esac
        sleep 0.1
    done
    echo timeout
}
