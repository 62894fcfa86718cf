variables {
  name    = "gatehouse"
  network = "10.40.0.0/16"
  zones   = ["a", "b", "c"]
  nodes   = { min = 3, max = 9 }
}

run "addresses_of_three_zones" {
  command = plan
  assert {
    condition     = [for zone in output.zones : zone.nodes_cidr] == ["10.40.0.0/19", "10.40.32.0/19", "10.40.64.0/19"]
    error_message = "wrong node ranges"
  }
  assert {
    condition     = [for zone in output.zones : zone.data_cidr] == ["10.40.224.0/22", "10.40.228.0/22", "10.40.232.0/22"]
    error_message = "wrong data ranges"
  }
  assert {
    condition     = [for zone in output.zones : zone.public_cidr] == ["10.40.240.0/24", "10.40.241.0/24", "10.40.242.0/24"]
    error_message = "wrong public ranges"
  }
  assert {
    # The network policies in k8s/overlays contain this range.
    condition     = output.data_cidr == "10.40.224.0/20"
    error_message = "wrong data range of all zones"
  }
}

run "four_zones_do_not_overlap" {
  command = plan
  variables {
    zones = ["a", "b", "c", "d"]
  }
  assert {
    condition     = output.zones["d"].nodes_cidr == "10.40.96.0/19" && output.nodes_cidr == "10.40.0.0/17"
    error_message = "the fourth zone's nodes must end with the lower half"
  }
  assert {
    condition     = output.zones["d"].data_cidr == "10.40.236.0/22" && output.zones["a"].public_cidr == "10.40.240.0/24"
    error_message = "the fourth zone's data range must end before the public ranges"
  }
}

run "every_zone_gets_a_node" {
  command = plan
  variables {
    nodes = { min = 1, max = 4 }
  }
  assert {
    condition     = output.nodes_per_zone == { min = 1, max = 2 }
    error_message = "node counts must be rounded up"
  }
}

run "a_single_zone_is_refused" {
  command = plan
  variables {
    zones = ["a"]
  }
  expect_failures = [var.zones]
}

run "a_doubled_zone_is_refused" {
  command = plan
  variables {
    zones = ["a", "a"]
  }
  expect_failures = [var.zones]
}

run "a_public_network_is_refused" {
  command = plan
  variables {
    network = "8.8.0.0/16"
  }
  expect_failures = [var.network]
}

run "a_network_of_another_size_is_refused" {
  command = plan
  variables {
    network = "10.40.0.0/20"
  }
  expect_failures = [var.network]
}

run "the_network_of_the_services_is_refused" {
  command = plan
  variables {
    network = "172.20.0.0/16"
  }
  expect_failures = [var.network]
}

run "a_name_that_azure_would_refuse_is_refused" {
  command = plan
  variables {
    name = "Gate_House"
  }
  expect_failures = [var.name]
}

run "fewer_nodes_at_most_than_at_least_is_refused" {
  command = plan
  variables {
    nodes = { min = 3, max = 2 }
  }
  expect_failures = [var.nodes]
}
