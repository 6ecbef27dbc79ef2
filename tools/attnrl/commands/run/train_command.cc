// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "tools/attnrl/command.h"
#include "tools/attnrl/train/train.h"

namespace attnrl::tools {

// `attnrl train`: starts the four services, trains, shows the progress.
void AddTrainCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("train", "Train a model: start all services and watch them");
  auto options = std::make_shared<TrainOptions>();
  command.Add("--config", &options->config, "Configuration file (YAML)");
  command
      .Add("--set", &options->sets,
           "Set one configuration key, overriding the file: key=value; repeatable")
      .Repeatable();
  command.Add("--run-dir", &options->run_directory,
              "Directory for the run's files (default: runs/<config or run>-<n>)");
  command.AddSwitch("--resume", &options->resume, "Go on with the run in the run directory");
  command.Add("--workers", &options->workers, "Number of rollout workers (rollout.workers)")
      .AtLeastZero();
  command.Footer(
      "Ctrl-C gives work back, stops the services and prints the command that goes on.\n"
      "Example:\n"
      "  attnrl train --config deploy/local/quickstart.yaml --set run.steps=20 --workers 2");
  command.WhenChosen([options, run] { *run = [options] { return Train(*options); }; });
}

}  // namespace attnrl::tools
