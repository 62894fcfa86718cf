# AKS: Entra accounts only, Cilium for network and policies, nodes in every zone.
resource "azurerm_kubernetes_cluster" "this" {
  name                      = var.name
  resource_group_name       = azurerm_resource_group.this.name
  location                  = var.location
  dns_prefix                = var.name
  kubernetes_version        = var.kubernetes_version
  sku_tier                  = "Standard"
  automatic_upgrade_channel = "patch"
  node_os_upgrade_channel   = "NodeImage"

  local_account_disabled    = true
  oidc_issuer_enabled       = true
  workload_identity_enabled = true
  run_command_enabled       = false

  azure_active_directory_role_based_access_control {
    azure_rbac_enabled = true
    tenant_id          = data.azurerm_client_config.current.tenant_id
  }
  api_server_access_profile {
    authorized_ip_ranges = var.api_allowed_cidrs
  }
  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.cluster.id]
  }
  # Our own identity, so that it may pull images before the first node starts.
  kubelet_identity {
    client_id                 = azurerm_user_assigned_identity.nodes.client_id
    object_id                 = azurerm_user_assigned_identity.nodes.principal_id
    user_assigned_identity_id = azurerm_user_assigned_identity.nodes.id
  }
  default_node_pool {
    name                        = "nodes"
    vm_size                     = var.node_type
    vnet_subnet_id              = azurerm_subnet.nodes.id
    zones                       = var.zones
    auto_scaling_enabled        = true
    min_count                   = var.nodes.min
    max_count                   = var.nodes.max
    os_sku                      = "AzureLinux"
    temporary_name_for_rotation = "rotating"
    upgrade_settings {
      max_surge = "33%"
      # Longer than the longest grace period of a pod, because a node upgrade waits for the sockets to move.
      drain_timeout_in_minutes = 10
    }
  }
  auto_scaler_profile {
    balance_similar_node_groups = true
    # Longer than the longest grace period of a pod, in seconds.
    max_graceful_termination_sec = "600"
  }
  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_data_plane  = "cilium"
    network_policy      = "cilium"
    load_balancer_sku   = "standard"
    pod_cidr            = module.plan.pods_cidr
    service_cidr        = module.plan.services_cidr
    dns_service_ip      = cidrhost(module.plan.services_cidr, 10)
  }

  lifecycle {
    # Managed by the autoscaler after creation.
    ignore_changes = [default_node_pool[0].node_count]
  }
  depends_on = [
    azurerm_role_assignment.cluster_network,
    azurerm_role_assignment.cluster_gives_identities,
    azurerm_role_assignment.pull,
  ]
}
