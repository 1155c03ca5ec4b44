// spdlog of C++, measured as main.rs measures the others: the same arguments, the same answer.
//
// An asynchronous logger in front of a basic file, as its wiki has it: one background thread, a
// queue of 8,192. "drops" overwrites the oldest in the queue, "blocks" waits.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>
#include <x86intrin.h>

namespace {

constexpr uint64_t burst = 1000, warm_up = 20, most_calls = 300 * burst;
const char *volatile text = "sixteen letters!";

uint64_t now() {
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}

double seconds(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

double ns_per_tick() {
    double time = seconds(CLOCK_MONOTONIC);
    uint64_t ticks = now();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return (seconds(CLOCK_MONOTONIC) - time) * 1e9 / (now() - ticks);
}

struct Peer {
    std::shared_ptr<spdlog::logger> logger;
    bool is_long;

    void write(uint64_t a) const {
        if (is_long)
            logger->info("a={} b={} text={}", a, 7u, text);
        else
            logger->info("a={}", a);
    }
};

// In bursts, or one each microsecond.
void calls(const Peer &peer, uint64_t events, bool paced) {
    double ns = ns_per_tick();
    uint64_t step = 1000 / ns, next = now();
    uint64_t measured = (std::min(events, most_calls) + burst - 1) / burst * burst;
    std::vector<uint64_t> times;
    times.reserve(measured);
    for (uint64_t b = 0; b < warm_up + measured / burst; b++) {
        for (uint64_t n = 0; n < burst; n++) {
            while (paced && now() < next) {
            }
            next += step;
            uint64_t start = now();
            peer.write(n);
            uint64_t ticks = now() - start;
            if (b >= warm_up)
                times.push_back(ticks);
        }
        if (!paced)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    std::vector<uint64_t> empty(10000);
    for (uint64_t &ticks : empty) {
        uint64_t start = now();
        ticks = now() - start;
    }
    std::sort(empty.begin(), empty.end());
    std::sort(times.begin(), times.end());
    uint64_t nothing = empty[empty.size() / 2];
    auto at = [&](double share) {
        uint64_t ticks = times[std::min<size_t>(times.size() * share, times.size() - 1)];
        return ticks > nothing ? (ticks - nothing) * ns : 0.0;
    };
    printf("p50=%.0f p99=%.0f p99.9=%.0f\n", at(0.5), at(0.99), at(0.999));
}

uint64_t kept(const std::string &path) {
    std::ifstream file(path);
    std::string line;
    uint64_t count = 0;
    while (std::getline(file, line))
        count += line.find("a=") != std::string::npos;
    return count;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    bool drops = strstr(argv[1], "drops") != nullptr;
    uint64_t events = strtoull(argv[4], nullptr, 10);
    std::string path = std::string(argv[5]) + "/log";
    spdlog::init_thread_pool(8192, 1);
    auto policy = drops ? spdlog::async_overflow_policy::overrun_oldest
                        : spdlog::async_overflow_policy::block;
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, true);
    auto logger =
        std::make_shared<spdlog::async_logger>("peers", sink, spdlog::thread_pool(), policy);
    logger->set_pattern("[%Y-%m-%d %H:%M:%S.%f] [%l] [%t] %v");
    Peer peer{logger, strcmp(argv[2], "long") == 0};
    bool paced = strcmp(argv[3], "paced") == 0;
    if (paced || strcmp(argv[3], "calls") == 0) {
        calls(peer, events, paced);
        logger.reset();
        peer.logger.reset();
        spdlog::shutdown();
        return 0;
    }
    int threads = atoi(argv[3]);
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> writers;
    for (int t = 0; t < threads; t++)
        writers.emplace_back([&] {
            peer.write(0);
            ready++;
            while (!go)
                std::this_thread::yield();
            for (uint64_t n = 1; n < events; n++)
                peer.write(n);
        });
    while (ready < threads)
        std::this_thread::yield();
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    go = true;
    for (std::thread &writer : writers)
        writer.join();
    // The pool, when its last owner goes, writes what is left; then the file is closed.
    logger.reset();
    peer.logger.reset();
    sink.reset();
    spdlog::shutdown();
    double took = seconds(CLOCK_MONOTONIC) - start;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    struct stat status;
    uint64_t bytes = stat(path.c_str(), &status) == 0 ? status.st_size : 0;
    uint64_t found = kept(path), attempted = events * threads;
    double each = found ? 1.0 / found : NAN;
    printf("kept=%.2f lost=%.1f cpu=%.1f bytes=%.1f\n", found / took / 1e6,
           100.0 * (attempted - found) / attempted, cpu * 1e9 * each, bytes * each);
}
