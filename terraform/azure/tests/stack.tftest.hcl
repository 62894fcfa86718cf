mock_provider "azurerm" {
  mock_resource "azurerm_kubernetes_cluster" {
    defaults = {
      oidc_issuer_url = "https://issuer.example/"
    }
  }
  mock_resource "azurerm_managed_redis" {
    defaults = {
      hostname         = "chat.swedencentral.redis.azure.net"
      default_database = { primary_access_key = "a+b/c=" }
    }
  }
  mock_resource "azurerm_redis_cache" {
    defaults = {
      hostname           = "chat.redis.cache.windows.net"
      primary_access_key = "old="
    }
  }
}

variables {
  subscription_id   = "00000000-0000-0000-0000-000000000000"
  global_name       = "gatehousetest"
  api_allowed_cidrs = ["192.0.2.0/24"]
  admin_group_id    = "00000000-0000-0000-0000-000000000002"
}

run "the_cluster_spans_zones_and_has_no_local_accounts" {
  assert {
    condition     = azurerm_kubernetes_cluster.this.local_account_disabled && azurerm_kubernetes_cluster.this.oidc_issuer_enabled && azurerm_kubernetes_cluster.this.workload_identity_enabled
    error_message = "expected only Entra accounts and workload identities"
  }
  assert {
    condition     = azurerm_kubernetes_cluster.this.default_node_pool[0].zones == toset(["1", "2", "3"]) && azurerm_kubernetes_cluster.this.default_node_pool[0].auto_scaling_enabled
    error_message = "expected autoscaled nodes in every zone"
  }
  assert {
    condition     = azurerm_kubernetes_cluster.this.network_profile[0].network_policy == "cilium"
    error_message = "network policies are not enforced"
  }
}

run "nodes_may_pull_images_before_they_exist" {
  assert {
    condition     = azurerm_role_assignment.pull.role_definition_name == "AcrPull" && azurerm_kubernetes_cluster.this.kubelet_identity[0].object_id == azurerm_role_assignment.pull.principal_id
    error_message = "images are not pulled with the nodes' identity"
  }
}

run "managed_redis_is_private_encrypted_and_never_evicts" {
  assert {
    condition     = azurerm_managed_redis.this[0].public_network_access == "Disabled" && azurerm_managed_redis.this[0].high_availability_enabled
    error_message = "expected private and replicated"
  }
  assert {
    condition     = azurerm_managed_redis.this[0].default_database[0].eviction_policy == "NoEviction" && azurerm_managed_redis.this[0].default_database[0].client_protocol == "Encrypted"
    error_message = "expected encryption and noeviction"
  }
  assert {
    condition     = length(azurerm_redis_cache.this) == 0 && azurerm_private_dns_zone.this["redis"].name == "privatelink.redis.azure.net"
    error_message = "expected only one Redis"
  }
  assert {
    condition     = nonsensitive(output.redis_url) == "rediss://:a%2Bb%2Fc%3D@chat.swedencentral.redis.azure.net:10000/"
    error_message = "expected an escaped key and the port of Azure Managed Redis"
  }
}

run "who_still_has_azure_cache_for_redis_keeps_it" {
  variables {
    redis = "cache"
  }
  assert {
    condition     = nonsensitive(output.redis_url) == "rediss://:old%3D@chat.redis.cache.windows.net:6380/" && length(azurerm_managed_redis.this) == 0
    error_message = "expected port 6380"
  }
  assert {
    condition     = azurerm_private_endpoint.this["redis"].private_service_connection[0].subresource_names == tolist(["redisCache"]) && !azurerm_redis_cache.this[0].non_ssl_port_enabled
    error_message = "expected private, TLS only"
  }
}

run "the_model_has_neither_key_nor_public_address" {
  assert {
    condition     = !azurerm_cognitive_account.openai.local_auth_enabled && !azurerm_cognitive_account.openai.public_network_access_enabled
    error_message = "expected no keys and no public address"
  }
  assert {
    condition     = output.openai_deployment == "gpt-4o-mini" && azurerm_cognitive_account.openai.custom_subdomain_name == "gatehousetest-openai"
    error_message = "expected the default deployment and a custom subdomain, which Entra tokens need"
  }
  assert {
    condition     = azurerm_federated_identity_credential.api.subject == "system:serviceaccount:gatehouse:backend-api" && azurerm_federated_identity_credential.api.issuer == "https://issuer.example/"
    error_message = "expected the service account of k8s/base"
  }
  assert {
    condition     = azurerm_role_assignment.api_asks_the_model.role_definition_name == "Cognitive Services OpenAI User"
    error_message = "expected permission to use, not to administer"
  }
}

run "the_address_of_the_gateway_stays" {
  assert {
    condition     = azurerm_public_ip.gateway.allocation_method == "Static" && output.public_ip_name == "gatehouse-gateway" && output.resource_group == "gatehouse" && output.data_cidr == "10.40.224.0/20"
    error_message = "expected the names in k8s/overlays/azure"
  }
}

run "an_api_open_to_the_internet_is_refused" {
  command = plan
  variables {
    api_allowed_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.api_allowed_cidrs]
}
