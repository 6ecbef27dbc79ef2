// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/attnrl/command.h"
#include "tools/attnrl/train/train.h"

namespace attnrl::tools {

// `attnrl train`: starts the four services, trains, shows the progress.
void AddTrainCommand(CLI::App& app, Work* run) {
  CLI::App* command =
      app.add_subcommand("train", "Train a model: start all services and watch them");
  auto options = std::make_shared<TrainOptions>();
  command->add_option("--config", options->config, "Configuration file (YAML)")->required();
  command
      ->add_option("--set", options->sets,
                   "Set one configuration key, overriding the file: key=value; repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--run-dir", options->run_directory,
                      "Directory for the run's files (default: runs/<config>-<n>)");
  command->add_flag("--resume", options->resume, "Go on with the run in the run directory");
  command->add_option("--workers", options->workers, "Number of rollout workers (rollout.workers)")
      ->check(CLI::NonNegativeNumber);
  command->footer(
      "Ctrl-C gives work back, stops the services and prints the command that goes on.\n"
      "Example:\n"
      "  attnrl train --config deploy/local/quickstart.yaml --set run.steps=20 --workers 2");
  command->callback([options, run] { *run = [options] { return Train(*options); }; });
}

}  // namespace attnrl::tools
