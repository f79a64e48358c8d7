// The Verilated device's end of the link, between bytes of a line and packets.
//
//   endpoint SEED
//
// Each request on stdin is 7 numbers of 64 bits: CYCLES, QUIET, the chances in 2^32 that the
// accelerator and the line to the host stall, the least distance of replies in cycles, and how many
// bytes from the host and replies follow, which are as wide. It simulates CYCLES cycles, or fewer if
// nothing but zero bytes was transferred in the last QUIET. The answer is 6 numbers and their data:
// the cycles, greetings, damaged frames, replies that still wait, and how many bytes to the host and
// commands follow. A greeting discards commands and replies; POWER_UP, as CYCLES, begins anew.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "Vegru.h"
#include "verilated.h"

using Words = std::vector<uint64_t>;

static Words receive(size_t count) {
  Words words(count);
  if (count && fread(words.data(), 8, count, stdin) != count) exit(0);
  return words;
}

static void send(const Words& words) { fwrite(words.data(), 8, words.size(), stdout); }

int main(int, char** arguments) {
  std::mt19937_64 random(strtoull(arguments[1], nullptr, 10));
  auto chance = [&](uint64_t below) { return below && (random() >> 32) < below; };
  VerilatedContext context;
  auto dut = std::make_unique<Vegru>(&context);
  std::deque<uint64_t> line, replies;
  uint64_t until_reply = 0;
  while (true) {
    const Words request = receive(7);
    for (uint64_t byte : receive(request[5])) line.push_back(byte);
    for (uint64_t reply : receive(request[6])) replies.push_back(reply);
    Words sent, commands;
    uint64_t cycles = 0, greetings = 0, damaged = 0;
    if (request[0] == POWER_UP) {
      dut = std::make_unique<Vegru>(&context);
      line.clear();
      replies.clear();
      until_reply = 0;
    } else {
      for (uint64_t quiet = 0; cycles < request[0] && quiet < request[1]; cycles++, quiet++) {
        dut->rx_valid = !line.empty();
        dut->rx_byte = line.empty() ? 0 : line.front();
        dut->tx_ready = !chance(request[3]);
        dut->command_ready = !chance(request[2]);
        dut->reply_valid = !replies.empty() && until_reply == 0;
        if (dut->reply_valid) dut->reply = replies.front();
        if (until_reply) until_reply--;
        dut->eval();
        if (!line.empty()) line.pop_front(), quiet = 0;
        if (dut->tx_valid && dut->tx_ready) {
          sent.push_back(dut->tx_byte);
          if (dut->tx_byte) quiet = 0;
        }
        if (dut->command_valid && dut->command_ready) {
          commands.push_back(dut->command);
          quiet = 0;
        }
        if (dut->reply_valid && dut->reply_ready) {
          replies.pop_front();
          until_reply = request[4];
          quiet = 0;
        }
        if (dut->reset) commands.clear(), replies.clear(), greetings++;
        damaged += dut->damaged;
        dut->clk = 1;
        dut->eval();
        dut->clk = 0;
        dut->eval();
      }
    }
    send({cycles, greetings, damaged, replies.size(), sent.size(), commands.size()});
    send(sent);
    send(commands);
    fflush(stdout);
  }
}
