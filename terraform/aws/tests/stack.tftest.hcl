mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      vpc_config = { cluster_security_group_id = "sg-0123456789abcdef0" }
    }
  }
}

variables {
  api_allowed_cidrs = ["192.0.2.0/24"]
  redis_auth_token  = "0123456789abcdefghij"
}

run "three_zones_each_with_nodes_and_a_way_out" {
  assert {
    condition     = length(aws_eks_node_group.zone) == 3 && alltrue([for group in aws_eks_node_group.zone : length(group.subnet_ids) == 1])
    error_message = "expected one node group per zone"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "expected one NAT gateway per zone"
  }
}

run "one_nat_gateway_serves_every_zone_when_asked_to" {
  variables {
    nat_per_zone = false
  }
  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"] && length(distinct([for route in aws_route.nat : route.nat_gateway_id])) == 1 && length(aws_route.nat) == 3
    error_message = "expected all routes through one NAT gateway"
  }
}

run "redis_is_replicated_encrypted_and_never_evicts" {
  assert {
    condition     = aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.num_cache_clusters == 3
    error_message = "expected one node per zone, with failover"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled)
    error_message = "expected encryption in transit and at rest"
  }
  assert {
    condition     = one([for item in aws_elasticache_parameter_group.this.parameter : item.value if item.name == "maxmemory-policy"]) == "noeviction"
    error_message = "expected noeviction"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.redis.referenced_security_group_id == "sg-0123456789abcdef0" && aws_vpc_security_group_ingress_rule.redis.cidr_ipv4 == null
    error_message = "expected access from the cluster only"
  }
}

run "the_cluster_trusts_api_entries_only_and_enforces_network_policies" {
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.bootstrap_self_managed_addons
    error_message = "expected API mode"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.network.configuration_values).enableNetworkPolicy == "true"
    error_message = "expected network policies"
  }
  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_tokens == "required" && aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "pods can use the node's identity"
  }
}

run "images_cannot_be_replaced" {
  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE"]) && keys(aws_ecr_repository.this) == ["gatehouse/backend", "gatehouse/gateway"]
    error_message = "expected immutable tags in both repositories"
  }
}

run "an_api_open_to_the_internet_is_refused" {
  command = plan
  variables {
    api_allowed_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.api_allowed_cidrs]
}

run "a_password_that_would_break_the_url_is_refused" {
  command = plan
  variables {
    redis_auth_token = "with@slash/and:colon"
  }
  expect_failures = [var.redis_auth_token]
}
